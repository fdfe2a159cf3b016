"""Overview: is speculation helping right now, is anything wrong, and what waits for a person?"""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from paste_web.answer import answer
from paste_web.needs import MOST_SHOWN, last_decision, needs
from paste_web.time_bars import agents_time, workers_time
from speculation import queries, savings
from speculation.queries import SessionFilter
from speculation.running import running_now

SESSIONS_SHOWN = 8


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """`?range=` hour, day (default), week or month; `?part=live` the part that the page asks for again."""
    context = _context(request.GET.get("range", ""))
    if request.GET.get("part") == "live":
        return render(request, "overview/live.html", context)
    return render(request, "overview/page.html", context)


def _context(key: str) -> dict[str, Any]:
    now = timezone.now()
    chosen = savings.range_of(key)
    since = chosen.since(now)
    totals, effect, pairs = savings.totals_of(since), savings.effect_of(since), savings.pairs_of(since)
    bins = savings.minutes_of(since, now, chosen.bins)
    waiting = needs(now)
    rows, in_all = queries.list_sessions(SessionFilter(), size=SESSIONS_SHOWN)
    return {
        "now": now,
        "chosen": chosen,
        "ranges": savings.RANGES,
        "totals": totals,
        "effect": effect,
        "answer": answer(
            paused=queries.pause_reason(), learning=queries.learning_sentence(), effect=effect, pairs=pairs
        ),
        "running": running_now(),
        "unbooked": savings.unbooked(),
        "charts": [agents_time(bins), workers_time(bins)],
        "needs": waiting[:MOST_SHOWN],
        "needs_in_all": len(waiting),
        "last_decision": last_decision(),
        "rows": rows,
        "sessions_in_all": in_all,
    }
