"""The audit as it is read: narrowed down, each entry with its kind and with the fields that differ."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from speculation.models import AuditEntry

ENTRIES_A_PAGE = 50
ENTRIES_A_READ = 500
ONE_DAY = timedelta(days=1)
NOTHING = "–"
TOLD_FIRST = ("level", "name")
"""Fields that say most, before the others by name."""
_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)[.\d]*\+00:00$")


@dataclass(frozen=True)
class Kind:
    """`verbs`: what stands before the colon of such an entry, a regular expression as PostgreSQL and Python read it."""

    name: str
    label: str
    verbs: str


KINDS = (
    Kind(
        "tool",
        "tools: decisions, switches, definitions, prices",
        "decided|revoked|switched (on|off)|sent to review|held results distrusted|(definition|credentials) changed"
        "|declared to [^:]*|canary rolled back|price changed",
    ),
    Kind("pattern", "patterns", "pattern[^:]*"),
    Kind("pause", "pauses", "speculation (paused|resumed)|agent pause (opened|closed)"),
    Kind("breaker", "breakers: limits and openings", "limits changed|[a-z]+ breaker (opened|closed)|breaker [^:]*"),
    Kind("key", "API keys", "key (created|revoked)"),
    Kind("setup", "agents, pools, endpoints", "(agent profile|worker pool|model endpoint) [^:]*"),
)
OTHER = Kind("other", "other", "")


@dataclass(frozen=True)
class AuditFilter:
    """What the audit is narrowed to; empty means all. `since`, `until`: whole days of UTC, both included."""

    who: str = ""
    kind: str = ""
    text: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def is_narrow(self) -> bool:
        return self != AuditFilter()

    def entries(self) -> QuerySet[AuditEntry]:
        """Newest first."""
        found = AuditEntry.objects.order_by("-at", "-id").filter(_of_kind(self.kind))
        if self.who:
            found = found.filter(who=self.who)
        if self.text:
            found = _containing(found, self.text)
        if self.since:
            found = found.filter(at__gte=_midnight(self.since))
        if self.until:
            found = found.filter(at__lt=_midnight(self.until) + ONE_DAY)
        return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _containing(entries: QuerySet[AuditEntry], text: str) -> QuerySet[AuditEntry]:
    texts = entries.annotate(before_text=Cast("before", TextField()), after_text=Cast("after", TextField()))
    fields = ("what", "why", "before_text", "after_text")
    anywhere = Q()
    for field in fields:
        anywhere |= Q(**{f"{field}__icontains": text})
    return texts.filter(anywhere)


def _of_kind(name: str) -> Q:
    """Of a kind that does not exist there are none."""
    if not name:
        return Q()
    if name == OTHER.name:
        return ~Q(what__regex=_starting("|".join(kind.verbs for kind in KINDS)))
    kind = next((kind for kind in KINDS if kind.name == name), None)
    return Q(what__regex=_starting(kind.verbs)) if kind else Q(pk__in=[])


def _starting(verbs: str) -> str:
    return f"^({verbs}): "


def kind_of(what: str) -> Kind:
    return next((kind for kind in KINDS if re.match(_starting(kind.verbs), what)), OTHER)


def tool_of(what: str) -> tuple[str, str] | None:
    """Server and name of the tool that an entry is about; None where it is about something else."""
    verb, _, object_ = what.partition(": ")
    is_of_tools = kind_of(what).name == "tool" or verb.endswith(("breaker opened", "breaker closed"))
    server, slash, name = object_.partition("/")
    is_whole = bool(server and slash and name) and " " not in server and object_.isprintable()
    return (server, name) if is_of_tools and is_whole else None


@dataclass(frozen=True)
class FieldChange:
    """One field that differs, as text; "–" where there was or is none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Difference:
    """`unchanged`: the fields that both sides have with equal values."""

    changes: Sequence[FieldChange]
    unchanged: Sequence[FieldChange]


def difference(before: Any, after: Any) -> Difference:
    """Field by field; objects within are opened, so that `definition.parameters.required` stands alone."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    names = sorted(old.keys() | new.keys(), key=lambda name: (name not in TOLD_FIRST, name))
    fields = [FieldChange(name, old.get(name, NOTHING), new.get(name, NOTHING)) for name in names]
    return Difference(
        [field for field in fields if field.before != field.after],
        [field for field in fields if field.before == field.after],
    )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path -> text of the value there; what is empty is not there."""
    if isinstance(value, Mapping):
        if path and not value:
            yield path, "{}"
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif value is not None and value != "":
        yield path or "value", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return _MOMENT.sub(r"\1 \2 UTC", value)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class AuditRow:
    """One entry as pages show it."""

    entry: AuditEntry
    kind: Kind
    difference: Difference
    tool: tuple[str, str] | None

    @property
    def verb(self) -> str:
        return self.entry.what.partition(": ")[0]


def row_of(entry: AuditEntry) -> AuditRow:
    return AuditRow(entry, kind_of(entry.what), difference(entry.before, entry.after), tool_of(entry.what))


def everybody() -> Sequence[str]:
    """Whoever stands in the audit."""
    return list(AuditEntry.objects.order_by("who").values_list("who", flat=True).distinct())


EXPORTED = ("entry", "at", "kind", "who", "what", "why", "before", "after")


def exported(narrowed: AuditFilter) -> Iterator[Sequence[str]]:
    """Rows of the export, newest first, read a few hundred at a time: each read goes on where the last one ended."""
    last: AuditEntry | None = None
    while True:
        entries = narrowed.entries()
        if last is not None:
            entries = entries.filter(Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk))
        read = list(entries[:ENTRIES_A_READ])
        yield from map(_exported, read)
        if len(read) < ENTRIES_A_READ:
            return
        last = read[-1]


def _exported(entry: AuditEntry) -> Sequence[str]:
    sides = ("" if side is None else json.dumps(side, ensure_ascii=False) for side in (entry.before, entry.after))
    at = entry.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (str(entry.pk), at, kind_of(entry.what).name, entry.who, entry.what, entry.why, *sides)
