"""Patterns: what was learned, how well it does, what is going stale; many switched on or off at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Page, Paginator
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from paste_web.session_view import may_read_payloads
from paste_web.tool_graph import MOST_EDGES, tool_graph
from speculation import pattern_edits
from speculation.models import AgentProfile, PatternRecord
from speculation.pattern_edits import Author
from speculation.pattern_history import edges
from speculation.pattern_rows import PatternFilter, PatternRow, by_staleness, listed, pattern_rows

ROWS_A_PAGE = 50
LONGEST_REASON_CHARACTERS = 2000
MAY_EDIT = "speculation.change_patternrecord"
STALE = "stale"


@dataclass(frozen=True)
class Column:
    """One that can be sorted by. `field`: in the database; empty for the score, which is computed."""

    key: str
    label: str
    field: str
    css: str = "number"


COLUMNS = (
    Column("support", "Support", "support", "number later"),
    Column("probability", "Probability", "decided_probability", "number later"),
    Column("runs", "Asked for", "runs_ever", "number later"),
    Column("precision", "Precision", "precision_ever"),
    Column(STALE, "Stale", ""),
    Column("promoted", "Last promoted", "last_promoted_at", "later"),
    Column("updated", "Learned", "updated_at", "later"),
)


@dataclass(frozen=True)
class Head:
    """A column's head with where its button leads: the other direction where it is sorted by already."""

    column: Column
    url: str
    sorted: str


@login_required
@require_GET
def patterns(request: HttpRequest) -> HttpResponse:
    narrowed = _narrowed(request)
    by, rises = _order(request)
    page = _page(narrowed, by, rises, request.GET.get("page"))
    agents = list(AgentProfile.objects.filter(patterns__isnull=False).distinct())
    drawn = next((agent for agent in agents if agent.name == narrowed.agent), agents[0] if agents else None)
    found = edges(drawn) if drawn else []
    context = {
        "page": page,
        "rows": _rows(page),
        "narrowed": narrowed,
        "chips": list(_chips(request, narrowed)),
        "by": by,
        "rises": rises,
        "heads": {column.key: _head(request, column, by, rises) for column in COLUMNS},
        "agents": agents,
        "tools": PatternRecord.objects.exclude(tool="").order_by("tool").values_list("tool", flat=True).distinct(),
        "drawn": drawn,
        "graph": tool_graph(found[:MOST_EDGES]),
        "edges": found[:MOST_EDGES],
        "left_out": max(0, len(found) - MOST_EDGES),
        "may_edit": request.user.has_perm(MAY_EDIT),
        "show_payloads": may_read_payloads(request.user),
        "back": request.GET.urlencode(),
    }
    return render(request, "patterns/list.html", context)


@require_POST
@permission_required(MAY_EDIT, raise_exception=True)
def switch_patterns(request: HttpRequest) -> HttpResponse:
    """Those that were ticked, on or off."""
    keys = [int(text) for text in request.POST.getlist("pattern") if text.isdecimal() and len(text) < 19]
    on = request.POST.get("on") == "1"
    chosen = PatternRecord.objects.filter(pk__in=keys).order_by("pk")
    why = request.POST.get("why", "").strip().replace("\0", "")[:LONGEST_REASON_CHARACTERS]
    if not keys:
        messages.error(request, "Nothing was changed: tick the patterns first.")
    else:
        count = pattern_edits.switch(chosen, on, Author(request.user.get_username(), request.user, why))
        messages.success(request, _switched(count, len(chosen), on))
    if request.POST.get("from") == "pattern" and keys:
        return redirect("pattern", keys[0])
    back = QueryDict(request.POST.get("back", "")).urlencode()
    return redirect(f"{reverse('patterns')}?{back}" if back else "patterns")


def _switched(count: int, chosen: int, on: bool) -> str:
    words = f"{count} pattern{'s' if count != 1 else ''} {'enabled' if on else 'disabled'}."
    rest = chosen - count
    return words if not rest else f"{words} {rest} {'was' if rest == 1 else 'were'} so already."


def _narrowed(request: HttpRequest) -> PatternFilter:
    text = {name: request.GET.get(name, "").replace("\0", "").strip() for name in ("agent", "tool", "q")}
    ticked = {name: request.GET.get(name) == "1" for name in ("stale", "overridden", "disabled")}
    return PatternFilter(text["agent"], text["tool"], text["q"], **ticked)


def _order(request: HttpRequest) -> tuple[str, bool]:
    """The column, and whether the least comes first."""
    by = request.GET.get("by", "")
    return by if by in {column.key for column in COLUMNS} else "support", request.GET.get("up") == "1"


def _page(narrowed: PatternFilter, by: str, rises: bool, number: str | None) -> Page:
    """Of ids: the score that one may sort by is not in the database."""
    found = narrowed.apply(listed())
    field = next(column.field for column in COLUMNS if column.key == by)
    keys = _by_score(found, rises) if not field else _by_field(found, field, rises)
    return Paginator(keys, ROWS_A_PAGE).get_page(number)


def _by_field(found: QuerySet[PatternRecord], field: str, rises: bool) -> QuerySet[PatternRecord]:
    order = F(field).asc(nulls_last=True) if rises else F(field).desc(nulls_last=True)
    return found.order_by(order, "-support", "pk").values_list("pk", flat=True)


def _by_score(found: QuerySet[PatternRecord], rises: bool) -> list[int]:
    scores = {row.record.pk: row.stale.score for row in by_staleness(found)}
    keys = list(found.order_by("-support", "pk").values_list("pk", flat=True))
    return sorted(keys, key=lambda key: scores.get(key, 0.0) * (1 if rises else -1))


def _rows(page: Page) -> list[PatternRow]:
    records = listed().in_bulk(list(page.object_list))
    return pattern_rows([records[key] for key in page.object_list if key in records])


def _head(request: HttpRequest, column: Column, by: str, rises: bool) -> Head:
    is_sorted = column.key == by
    parameters = request.GET.copy()
    for name in ("page", "up"):
        parameters.pop(name, None)
    parameters["by"] = column.key
    if is_sorted and not rises:
        parameters["up"] = "1"
    direction = ("ascending" if rises else "descending") if is_sorted else ""
    return Head(column, f"?{parameters.urlencode()}", direction)


def _chips(request: HttpRequest, narrowed: PatternFilter) -> Sequence[dict[str, str]]:
    """What the list is narrowed to, each with the address without it."""
    active = {
        "q": f"“{narrowed.text}”" if narrowed.text else "",
        "agent": f"agent {narrowed.agent}" if narrowed.agent else "",
        "tool": f"leads to {narrowed.tool}" if narrowed.tool else "",
        **{name: name for name in ("stale", "overridden", "disabled") if getattr(narrowed, name)},
    }
    return [{"label": label, "url": _without(request, name)} for name, label in active.items() if label]


def _without(request: HttpRequest, name: str) -> str:
    parameters: Any = request.GET.copy()
    for gone in (name, "page"):
        parameters.pop(gone, None)
    return f"?{parameters.urlencode()}"
