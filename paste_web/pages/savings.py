"""Savings: what did speculation hide, waste and cost, and does the estimate agree with what was measured?"""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from paste_web.answer import answer
from paste_web.csv_answers import csv_answer
from paste_web.waterfall import waterfall
from speculation import queries, savings
from speculation.models import AgentProfile
from speculation.prices import as_text
from speculation.spans import FREE
from speculation.warm_ups import warm_ups_since
from speculation.waste import WASTE_REASONS

TOOL_HEAD = ["server", "tool", "calls", "started_early", "served", "hidden_seconds", "wasted_seconds"]


@login_required
@require_safe
def savings_page(request: HttpRequest) -> HttpResponse:
    """`?range=`, `?agent=` as on the overview."""
    now = timezone.now()
    chosen, agent = savings.range_of(request.GET.get("range", "")), request.GET.get("agent", "").replace("\0", "")
    since = chosen.since(now)
    totals, effect, pairs = (
        savings.totals_of(since, agent),
        savings.effect_of(since, agent),
        savings.pairs_of(since, agent),
    )
    tools = savings.tools_of(since, agent)
    reasons = savings.by_reason(tools)
    context: dict[str, Any] = {
        "chosen": chosen,
        "ranges": savings.RANGES,
        "agents": AgentProfile.objects.all(),
        "agent": agent,
        "totals": totals,
        "effect": effect,
        "disagrees": effect.contradicts(totals.saved_share),
        "pairs": pairs,
        "answer": answer(paused="", learning="", effect=effect, pairs=pairs),
        "steps": waterfall(totals),
        "tools": tools,
        "reasons": reasons,
        "priced": [one for one in reasons if one.price],
        "warm_ups": warm_ups_since(since, agent),
        "shadow": savings.shadow_of(since, agent),
        "unbooked": savings.unbooked(),
        "learning": queries.learning_sentence(),
    }
    return render(request, "savings/page.html", context)


@login_required
@require_safe
def savings_csv(request: HttpRequest) -> StreamingHttpResponse:
    """One row a tool, with what it wasted by reason: worker seconds, but what was hidden is of agents; and money."""
    chosen, agent = savings.range_of(request.GET.get("range", "")), request.GET.get("agent", "").replace("\0", "")
    rows = (
        [
            tool.server, tool.name, tool.calls, tool.launches, tool.hits,
            round(tool.hidden_seconds, 3), round(tool.wasted_seconds, 3),
            *(round(tool.waste.get(reason, (0, 0.0))[1], 3) for reason in WASTE_REASONS),
            *(as_text(price) for price in (tool.wasted_price, *(tool.price.get(reason, FREE) for reason in WASTE_REASONS))),
            settings.PASTE_CURRENCY,
        ]
        for tool in savings.tools_of(chosen.since(timezone.now()), agent)
    )  # fmt: skip
    seconds, price = ([f"wasted_{reason}_{what}" for reason in WASTE_REASONS] for what in ("seconds", "price"))
    head = [*TOOL_HEAD, *seconds, "wasted_price", *price, "currency"]
    return csv_answer(f"savings-{chosen.key}.csv", head, rows)
