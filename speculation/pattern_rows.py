"""What the pattern pages read: each pattern with the mapping that holds, what was measured of it, and how stale it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import Count, Exists, F, FloatField, OuterRef, Q, QuerySet
from django.db.models.functions import Cast, Coalesce, NullIf

from speculation.engine.roster import WHOLE
from speculation.models import AgentProfile, PatternRecord, Session, ToolRecord
from speculation.staleness import Life, Mapped, Staleness, staleness, unfit
from speculation.totals import Share

Place = tuple[int, str, tuple[str, ...]]
"""Agent, tool, context."""


@dataclass(frozen=True)
class PatternRow:
    """`mapping`: the one that holds here. `source`: the row that it stands in, which may be another one.

    Where arguments come from is learned once a tool, in its row without context; rows with a context add how well whole
    calls do there. An operator's mapping holds in its context and in all longer ones.
    """

    record: PatternRecord
    mapping: Mapped
    source: PatternRecord
    tool: ToolRecord | None
    life: Life

    @cached_property
    def stale(self) -> Staleness:
        return staleness(self.life)

    @property
    def precision(self) -> Share:
        """Asked for, of its runs that started."""
        return Share(self.record.hits_ever, self.record.runs_ever)

    @property
    def probability(self) -> float:
        record = self.record
        return record.probability if record.probability_override is None else record.probability_override

    @property
    def is_overridden(self) -> bool:
        record = self.record
        return not record.enabled or record.probability_override is not None or record.mapping_override is not None

    @property
    def has_borrowed_mapping(self) -> bool:
        return self.source.pk != self.record.pk


@dataclass(frozen=True)
class PatternFilter:
    """What the list is narrowed to; empty means all."""

    agent: str = ""
    tool: str = ""
    text: str = ""
    stale: bool = False
    overridden: bool = False
    disabled: bool = False

    @property
    def is_narrow(self) -> bool:
        return any((self.agent, self.tool, self.text, self.stale, self.overridden, self.disabled))

    def apply(self, found: QuerySet[PatternRecord]) -> QuerySet[PatternRecord]:
        if self.agent:
            found = found.filter(agent__name=self.agent)
        if self.tool:
            found = found.filter(tool=self.tool)
        if self.text:
            found = found.filter(Q(tool__icontains=self.text) | Q(context__icontains=self.text))
        if self.overridden:
            found = found.filter(OVERRIDDEN)
        if self.disabled:
            found = found.filter(enabled=False)
        if self.stale:
            found = found.filter(pk__in=[row.record.pk for row in stale_rows(found)])
        return found


OVERRIDDEN = Q(enabled=False) | Q(probability_override__isnull=False) | Q(mapping_override__isnull=False)


def listed() -> QuerySet[PatternRecord]:
    """All patterns, with what sorting needs; without their statistics, which are large."""
    promoted = Cast("hits_ever", FloatField()) / NullIf(Cast("runs_ever", FloatField()), 0.0)
    decided = Coalesce("probability_override", "probability")
    found = PatternRecord.objects.select_related("agent").defer("statistics")
    return found.annotate(precision_ever=promoted, decided_probability=decided, edit_count=Count("edits"))


def pattern_rows(records: Iterable[PatternRecord]) -> list[PatternRow]:
    """One row a record, in the given order. Records come from `listed`."""
    records = list(records)
    known = _Known(records)
    return [known.row(record) for record in records]


def stale_patterns() -> list[PatternRow]:
    """For Needs you: the enabled patterns that have gone stale and that somebody could miss, the worst first.

    Those are the patterns that have started runs, and each tool's own, from which all its others take their arguments.
    """
    return stale_rows(listed().filter(Q(runs_ever__gt=0) | Q(context=[])))


def stale_rows(found: QuerySet[PatternRecord]) -> list[PatternRow]:
    """The enabled ones of these that are stale, the worst first."""
    return [row for row in by_staleness(found) if row.stale.is_stale]


def by_staleness(found: QuerySet[PatternRecord]) -> list[PatternRow]:
    """The enabled ones of these that could be stale at all, the worst first."""
    changed = ToolRecord.objects.filter(
        agents=OuterRef("agent"), name=OuterRef("tool"), changed_at__gt=OuterRef("updated_at")
    )
    able = Q(runs_ever__gt=0) | Q(context=[]) | Q(mapping_override__isnull=False) | Exists(changed)
    rows = pattern_rows(found.filter(able, enabled=True).exclude(tool=""))
    return sorted(rows, key=lambda row: (-row.stale.score, -row.record.support, row.record.pk))


class _Known:
    """What rows of these records need, read once for all of them."""

    def __init__(self, records: Sequence[PatternRecord]) -> None:
        agents, names = {record.agent_id for record in records}, {record.tool for record in records}
        self._tools, self._last_at = _tools(agents, names), _last_at(agents)
        deciding = PatternRecord.objects.filter(agent__in=agents, tool__in=names).filter(
            Q(context=[]) | Q(mapping_override__isnull=False)
        )
        rows = deciding.defer("statistics").annotate(shapes=F("statistics__shapes"))
        self._deciding: dict[Place, PatternRecord] = {(row.agent_id, row.tool, tuple(row.context)): row for row in rows}
        self._shapes = {(row.agent_id, row.tool): row.shapes or {} for row in rows if not row.context}

    def row(self, record: PatternRecord) -> PatternRow:
        source, tool = self._source(record), self._tools.get((record.agent_id, record.tool))
        mapping = _together(record, source)
        life = Life(
            recent_hits=record.hits,
            recent_misses=record.misses,
            hits_ever=record.hits_ever,
            runs_ever=record.runs_ever,
            last_promoted_at=record.last_promoted_at,
            agent_last_at=self._last_at.get(record.agent_id),
            learned_at=record.updated_at,
            changed_at=tool.changed_at if tool else None,
            unfit=self._unfit(record, mapping, tool) if source.pk == record.pk else (),
        )
        return PatternRow(record, mapping, source, tool, life)

    def _unfit(self, record: PatternRecord, mapping: Mapped, tool: ToolRecord | None) -> Sequence[str]:
        return unfit(mapping, self._shapes.get((record.agent_id, record.tool), {}), tool.definition) if tool else ()

    def _source(self, record: PatternRecord) -> PatternRecord:
        """As the predictor looks for it (engine/priors.py): an operator's of the longest context, else the tool's own."""
        context = tuple(record.context)
        ways = ((record.agent_id, record.tool, context[start:]) for start in range(len(context) + 1))
        return next((self._deciding[way] for way in ways if way in self._deciding), record)


def _together(record: PatternRecord, source: PatternRecord) -> Mapped:
    """The mapping that holds: whole calls are counted in each context, where nobody decided otherwise."""
    if source.mapping_override is not None:
        return dict(source.mapping_override)
    return {**source.mapping, **({WHOLE: record.mapping[WHOLE]} if WHOLE in record.mapping else {})}


def _tools(agents: Iterable[int], names: Iterable[str]) -> dict[tuple[int, str], ToolRecord]:
    given = AgentProfile.tools.through.objects.filter(agentprofile__in=list(agents), toolrecord__name__in=list(names))
    return {(one.agentprofile_id, one.toolrecord.name): one.toolrecord for one in given.select_related("toolrecord")}


def _last_at(agents: Iterable[int]) -> dict[int, datetime]:
    """When the agent's latest session ended."""
    found = {}
    for agent in agents:
        ended = Session.objects.filter(agent=agent, ended_at__isnull=False).order_by("-created_at")
        if last := ended.values_list("ended_at", flat=True).first():
            found[agent] = last
    return found
