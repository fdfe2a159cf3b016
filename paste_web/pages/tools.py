"""Tools: which need a decision, which run early now, the switch of each, and revoking several at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from paste_web import tool_words
from speculation import endings, policy
from speculation.approval_queue import QueueItem, approval_queue, judged
from speculation.decisions import Standing, newest_decisions
from speculation.models import ToolRecord, ToolServer
from speculation.shadow_savings import would_save_by_tool
from speculation.tool_rows import ToolRow, tool_rows
from speculation.tool_servers import problem_of_file
from speculation.would_save import NOTHING, WouldSave

ROWS_A_PAGE = 50
MOST_REVOKED_AT_ONCE = 100
LONGEST_REASON_CHARACTERS = 2000
MAY_SWITCH, MAY_DECIDE = "speculation.change_toolrecord", "speculation.add_approval"
ORDERS: Mapping[str, str] = {"need": "descending", "name": "ascending", "save": "descending", "takes": "descending"}
"""What the list can be sorted by, and which way that is."""


@dataclass(frozen=True)
class Listed:
    """One tool of the list; `item` where it needs a decision."""

    row: ToolRow
    worth: WouldSave
    item: QueueItem | None

    @property
    def run_seconds(self) -> float | None:
        return self.row.tool.quantiles.get("p50")


@dataclass(frozen=True)
class Chosen:
    """What the list is narrowed to and sorted by. Unknown words are as if nothing was said."""

    text: str = ""
    server: str = ""
    standing: str = ""
    by: str = "need"

    @staticmethod
    def of(asked: QueryDict) -> "Chosen":
        text, server, standing, by = (
            asked.get(name, "").replace("\0", "").strip() for name in ("q", "server", "is", "by")
        )
        is_known = standing in list(Standing)
        return Chosen(text, server, standing if is_known else "", by if by in ORDERS else "need")

    @property
    def filters(self) -> Sequence[tuple[str, str]]:
        """Of each that is active: its parameter and its words."""
        named = (("q", f"name: {self.text}", self.text), ("server", f"server: {self.server}", self.server))
        return [(key, words) for key, words, value in (*named, ("is", self.standing, self.standing)) if value]

    def apply(self) -> list[ToolRecord]:
        found = ToolRecord.objects.filter(Q(name__icontains=self.text) | Q(server__icontains=self.text))
        return list(found.filter(server=self.server) if self.server else found)


@login_required
@require_GET
def tools(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    chosen, queue = Chosen.of(request.GET), approval_queue(now)
    found = _narrowed(chosen, now)
    worth, items = would_save_by_tool(found, now), {item.tool.pk: item for item in queue}
    ordered = sorted(found, key=lambda tool: _place(tool, chosen.by, worth.get(tool.pk, NOTHING), queue))
    page = Paginator(ordered, ROWS_A_PAGE).get_page(request.GET.get("page"))
    rows = tool_rows(page.object_list, now)
    context = {
        "page": page,
        "rows": [Listed(row, worth.get(row.tool.pk, NOTHING), items.get(row.tool.pk)) for row in rows],
        "queue": [(item, tool_words.title(item), tool_words.note(item), tool_words.action(item)) for item in queue],
        "chosen": chosen,
        "orders": ORDERS,
        "servers": ToolRecord.objects.order_by("server").values_list("server", flat=True).distinct(),
        "standings": list(Standing),
        "mcp_servers": ToolServer.objects.all(),
        "problem_of_file": problem_of_file(),
        "may_switch": request.user.has_perm(MAY_SWITCH),
        "may_decide": request.user.has_perm(MAY_DECIDE),
    }
    return render(request, "tools/list.html", context)


def _narrowed(chosen: Chosen, now: datetime) -> list[ToolRecord]:
    found = chosen.apply()
    if not chosen.standing:
        return found
    decided = newest_decisions(found)
    return [tool for tool in found if judged(tool, decided[tool.pk], now).standing == chosen.standing]


def _place(tool: ToolRecord, by: str, worth: WouldSave, queue: Sequence[QueueItem]) -> tuple[Any, ...]:
    if by == "name":
        return tool.name, tool.server
    if by == "save":
        return -worth.least_a_day_seconds, -worth.mean_seconds, tool.name
    if by == "takes":
        return -(tool.quantiles.get("p50") or 0.0), tool.name
    place = next((k for k, item in enumerate(queue) if item.tool.pk == tool.pk), len(queue))
    return place, -worth.least_a_day_seconds, tool.name, tool.server


@require_POST
@permission_required(MAY_SWITCH, raise_exception=True)
def switch_tool(request: HttpRequest, tool_id: int) -> HttpResponse:
    record = get_object_or_404(ToolRecord, pk=tool_id)
    on = request.POST.get("on") == "1"
    change = policy.switch(record, on, who=request.user.get_username(), user=request.user)
    did = tool_words.ended(endings.wait_for_end([change]))
    messages.success(request, f"{record.name} switched {'on' if on else 'off'}. {did}")
    return redirect("tools") if request.POST.get("from") == "list" else redirect("tool", record.server, record.name)


@require_POST
@permission_required(MAY_DECIDE, raise_exception=True)
def revoke_tools(request: HttpRequest) -> HttpResponse:
    """Several at once; there is no such thing for approving."""
    picked = [int(text) for text in request.POST.getlist("tool") if text.isdecimal() and len(text) < 10]
    found = list(ToolRecord.objects.filter(pk__in=picked[:MOST_REVOKED_AT_ONCE]))
    why = _reason(request, "Revoked on the list of tools.")
    changes = [policy.revoke(tool, who=request.user.get_username(), user=request.user, why=why) for tool in found]
    if changes:
        names = ", ".join(tool.name for tool in found)
        messages.success(request, f"Revoked: {names}. {tool_words.ended(endings.wait_for_end(changes))}")
    else:
        messages.error(request, "Nothing was revoked: pick at least one tool.")
    return redirect("tools")


@require_POST
@permission_required(MAY_DECIDE, raise_exception=True)
def revoke_tool(request: HttpRequest, tool_id: int) -> HttpResponse:
    """One press: the reason can be given later, in a decision."""
    record = get_object_or_404(ToolRecord, pk=tool_id)
    why = _reason(request, "Revoked on the tool's page.")
    change = policy.revoke(record, who=request.user.get_username(), user=request.user, why=why)
    messages.success(request, f"Revoked. {tool_words.ended(endings.wait_for_end([change]))}")
    return redirect("tool", record.server, record.name)


def _reason(request: HttpRequest, otherwise: str) -> str:
    return request.POST.get("why", "").replace("\0", "").strip()[:LONGEST_REASON_CHARACTERS] or otherwise
