"""Patterns: what was learned, how well it does, and where an operator has decided otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from speculation.models import AgentProfile, PatternRecord

ROWS_A_PAGE = 50
ORDERS: Mapping[str, Any] = {
    "support": F("support").desc(),
    "probability": F("probability").desc(),
    "misses": F("misses").desc(),
    "updated": F("updated_at").desc(),
}


@dataclass(frozen=True)
class Arrow:
    """Where one argument's value is taken from, first choice; `others`: how many further sources there are."""

    source: str
    argument: str
    right: float
    available: float
    others: int


@dataclass(frozen=True)
class PatternRow:
    record: PatternRecord

    @property
    def context(self) -> str:
        return " › ".join(self.record.context) or "any start"

    @property
    def target(self) -> str:
        return self.record.tool or "the answer"

    @property
    def arrows(self) -> Sequence[Arrow]:
        record = self.record
        mapping = record.mapping if record.mapping_override is None else record.mapping_override
        return [
            Arrow(sources[0][0], name, sources[0][1], sources[0][2], len(sources) - 1)
            for name, sources in sorted(mapping.items())
            if sources
        ]

    @property
    def probability(self) -> float:
        record = self.record
        return record.probability if record.probability_override is None else record.probability_override

    @property
    def tried(self) -> float:
        return self.record.hits + self.record.misses

    @property
    def precision(self) -> float | None:
        """Share of its speculations that were asked for; None before the first."""
        return self.record.hits / self.tried if self.tried else None

    @property
    def is_overridden(self) -> bool:
        record = self.record
        return not record.enabled or record.probability_override is not None or record.mapping_override is not None


@login_required
@require_GET
def patterns(request: HttpRequest) -> HttpResponse:
    chosen = {name: request.GET.get(name, "").replace("\0", "").strip() for name in ("agent", "tool", "q", "by")}
    order = chosen["by"] if chosen["by"] in ORDERS else "support"
    page = Paginator(_narrowed(chosen).order_by(ORDERS[order], "pk"), ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [PatternRow(record) for record in page.object_list],
        "chosen": chosen,
        "order": order,
        "is_narrow": any(chosen[name] for name in ("agent", "tool", "q")),
        "agents": AgentProfile.objects.filter(patterns__isnull=False).distinct(),
        "tools": PatternRecord.objects.exclude(tool="").order_by("tool").values_list("tool", flat=True).distinct(),
        "may_edit": request.user.is_staff and request.user.has_perm("speculation.change_patternrecord"),
    }
    return render(request, "patterns/list.html", context)


def _narrowed(chosen: Mapping[str, str]) -> QuerySet[PatternRecord]:
    found = PatternRecord.objects.select_related("agent")
    if chosen["agent"]:
        found = found.filter(agent__name=chosen["agent"])
    if chosen["tool"]:
        found = found.filter(tool=chosen["tool"])
    if chosen["q"]:
        found = found.filter(Q(tool__icontains=chosen["q"]) | Q(context__icontains=chosen["q"]))
    return found
