"""Needs you: what waits for a person, the most urgent first. Each is one line with the page that deals with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache
from django.urls import reverse

from paste_web import tool_words
from paste_web.plain_text import reveal
from speculation.alerts import open_alerts
from speculation.approval_queue import Need as ToolNeed
from speculation.approval_queue import approval_queue
from speculation.breakers_open import open_now
from speculation.models import AlertMetric, Approval, BreakerKind
from speculation.pattern_rows import stale_patterns
from speculation.tool_servers import failing_servers, problem_of_file

MOST_SHOWN = 8
COUNT_KEPT_SECONDS = 10
ALERTS_ELSEWHERE = {
    AlertMetric.FAILED: "sessions",
    AlertMetric.QUEUE_WAIT: "scheduler",
    AlertMetric.INTERFERENCE: "scheduler",
}
"""The page that deals with an alert; the others are dealt with on Savings."""

WHEN = {ToolNeed.CHANGED: ", on", ToolNeed.REVIEW: ", since", ToolNeed.EXPIRED: ", since", ToolNeed.EXPIRING: ", ends"}
"""What stands before the moment of each."""


@dataclass(frozen=True)
class Need:
    """`title` is a question or a fact, `note` the reason and the figures, `action` the words of the link."""

    title: str
    note: str
    url: str
    action: str
    tone: str = ""
    at: datetime | None = None


def needs(now: datetime) -> list[Need]:
    """All that waits, in order: what is off or wrong, then decisions, then what grows old."""
    return [*_open_breakers(), *_alerts(now), *_failing_servers(now), *_decisions(now), *_stale_patterns()]


def _open_breakers() -> Iterator[Need]:
    for opening in open_now().exclude(kind=BreakerKind.PAUSE).select_related("tool", "agent"):
        note = f"{opening.reason}; {'resets' if opening.open_until else 'stays until somebody resets it'}"
        yield Need(f"Off: {opening}", note, reverse("scheduler"), "See the breaker", "negative", opening.open_until)


def _alerts(now: datetime) -> Iterator[Need]:
    for alert in open_alerts(now):
        page = ALERTS_ELSEWHERE.get(alert.metric, "savings")
        yield Need(alert.title, f"{alert.note}. {alert.advice}", reverse(page), "Look", "warn")


def _failing_servers(now: datetime) -> Iterator[Need]:
    url = f"{reverse('tools')}#servers"
    if problem := problem_of_file():
        yield Need("The file of MCP servers cannot be used", problem, url, "Look", "warn")
    for server in failing_servers(now):
        note = f"{server.problem} Since"
        yield Need(f"MCP server {server} cannot be asked", note, url, "Look", "warn", server.failing_since)


def _decisions(now: datetime) -> Iterator[Need]:
    for item in approval_queue(now):
        url = reverse("tool", args=[item.tool.server, item.tool.name])
        anchor = "#change" if item.need == ToolNeed.CHANGED else ""
        tone = "" if item.need == ToolNeed.APPROVE else "warn"
        yield Need(
            reveal(tool_words.title(item)),
            f"{tool_words.note(item)}{WHEN.get(item.need, '')}",
            f"{url}{anchor}",
            tool_words.action(item),
            tone,
            item.since,
        )


def _stale_patterns() -> Iterator[Need]:
    rows = stale_patterns()
    for row in rows[:3]:
        url = reverse("pattern", args=[row.record.pk])
        yield Need(f"Stale pattern P{row.record.pk} of {row.record.agent}", " ".join(row.stale.reasons), url, "Look")
    if len(rows) > 3:
        yield Need(
            f"{len(rows) - 3} more stale patterns", "the worst first", f"{reverse('patterns')}?stale=1", "See all"
        )


def waiting_for_a_decision() -> int:
    """The number beside Tools, at most some seconds old: it stands on every page."""
    return cache.get_or_set("waiting-for-a-decision", lambda: len(approval_queue()), COUNT_KEPT_SECONDS) or 0


def last_decision() -> Approval | None:
    return Approval.objects.exclude(who="system").select_related("tool").order_by("-id").first()
