"""An installation that has been used for a week, made up: for pictures, browser tests and timings. Deterministic by its seed.

Nothing in it comes from anywhere else than the product's own code: tools are registered and decided about, logs written
by the log's writer, patterns mined, figures booked. Only the clock is helped along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.contrib.auth.models import Group, User
from django.db.models import Model

from paste_web.picturing.agents import Cast, break_before, break_now, decide_all, hire
from paste_web.picturing.past import Past
from speculation import access, durations, ledger, pattern_edits, tool_servers
from speculation.jobs import POOL
from speculation.models import (
    ApiKey,
    Approval,
    AuditEntry,
    BreakerOpening,
    PatternEdit,
    PatternRecord,
    Session,
    ToolRecord,
    ToolServer,
    WorkerPool,
)
from speculation.roles import VIEWER

MANY_SESSIONS = 150
DECISIONS = ("decided: ", "revoked: ", "sent to review: ")


@dataclass(frozen=True)
class Filled:
    """`operator` may do everything. `sessions` by what they show: on, off, holdout, failed, running support, queued ..."""

    operator: User
    viewer: User
    sessions: Mapping[str, Session]
    tools: Mapping[str, ToolRecord]
    pattern: PatternRecord
    stale_pattern: PatternRecord


def fill(now: datetime, *, operator: User, viewer: User, seed: int = 1, sessions: int = MANY_SESSIONS) -> Filled:
    """Fill a migrated database that has users and nothing else. `sessions`: ended ones, beside those worth a picture."""
    rng = Random(seed)
    WorkerPool.objects.update_or_create(name=POOL, defaults={"slots": 6, "reserved": 2})
    past = Past(hire(), now, rng)
    past.learn()
    decide_all(past.cast, operator, now)
    past.live(sessions)
    marked = dict(past.marked())
    stale = _let_some_patterns_age(operator, now)
    _make_keys(operator, now)
    _ask_servers(now)
    break_before(past.cast, operator)
    _spread_out(now)
    break_now(past.cast, operator)
    durations.measure()
    while ledger.book_ended():
        pass
    return Filled(operator, viewer, marked, _tools(past.cast), _pattern(), stale)


def people() -> tuple[User, User]:
    """One who may do everything, and one who may look."""
    operator, viewer = (
        User.objects.create_user("op1", is_staff=True, is_superuser=True),
        User.objects.create_user("vera"),
    )
    viewer.groups.add(Group.objects.get(name=VIEWER))
    return operator, viewer


def _tools(cast: Cast) -> dict[str, ToolRecord]:
    return {tool.name: tool for tool in ToolRecord.objects.filter(pk__in=[tool.pk for tool in cast.tools.values()])}


def _pattern() -> PatternRecord:
    """One with a mapping."""
    return PatternRecord.objects.filter(agent__name="support", tool="get_record").exclude(mapping={}).latest("support")


def _let_some_patterns_age(operator: User, now: datetime) -> PatternRecord:
    """One that did well and no longer does, which is returned; one that an operator has changed, one switched off."""
    rows = list(PatternRecord.objects.filter(runs_ever__gt=0).order_by("agent", "-support", "pk"))
    stale, changed, disabled = rows[1], rows[3], rows[5]
    stale.hits, stale.misses, stale.hits_ever, stale.runs_ever = 2.0, 14.0, 61, 88
    stale.last_promoted_at = now - timedelta(days=24)
    stale.save(update_fields=["hits", "misses", "hits_ever", "runs_ever", "last_promoted_at"])
    pattern_edits.edit(changed, _author(operator, "Too sure of itself since May."), probability_override=0.4)
    pattern_edits.edit(disabled, _author(operator, "It guesses what nobody asks for."), enabled=False)
    return stale


def _author(user: User, why: str) -> pattern_edits.Author:
    return pattern_edits.Author(user.username, user, why)


def _make_keys(operator: User, now: datetime) -> None:
    """One in use, one that has expired, one revoked."""
    who = {"who": operator.username, "user": operator}
    used, _ = access.create_key(
        "helpdesk bridge", [access.WRITE, access.READ], why="The help desk submits its tickets.", **who
    )
    access.create_key(
        "spring load test", [access.WRITE], expires_at=now - timedelta(hours=5), why="For one week.", **who
    )
    lost, _ = access.create_key("laptop of op1", [access.WRITE, access.READ_ALL], why="For trying things out.", **who)
    access.revoke_key(lost, why="The laptop was lost.", **who)
    ApiKey.objects.filter(pk=used.pk).update(last_used_at=now - timedelta(minutes=3))


def _ask_servers(now: datetime) -> None:
    """One MCP server that answers, one that has stopped to."""
    tool_servers.keep(tool_servers.Listed("tickets", ["find_ticket", "read_ticket", "close_ticket"], gone=["list_tags"]), False)
    problem = "The MCP server browser did not answer as it should: its command could not be started. Nothing was asked of it."
    tool_servers.keep(tool_servers.Listed("browser", problem=problem), True)
    since = now - timedelta(minutes=26)
    ToolServer.objects.filter(name="browser").update(failing_since=since, answered_at=since - timedelta(minutes=1), tools=21)


def _spread_out(now: datetime) -> None:
    """As if what was audited so far had been done one after the other within the last two weeks."""
    entries = list(AuditEntry.objects.order_by("pk"))
    for k, entry in enumerate(entries):
        entry.at = now - timedelta(days=13) * (1 - (k + 1) / (len(entries) + 1)) - timedelta(minutes=41)
    AuditEntry.objects.bulk_update(entries, ["at"])
    long_ago = now - timedelta(days=40)
    ToolRecord.objects.update(first_seen_at=long_ago, changed_at=long_ago)
    for tool in ToolRecord.objects.all():
        said = [entry for entry in entries if entry.what.endswith(f": {tool}")]
        decided = [entry.at for entry in said if entry.what.startswith(DECISIONS)]
        for approval, at in zip(Approval.objects.filter(tool=tool).order_by("pk"), decided, strict=False):
            Approval.objects.filter(pk=approval.pk).update(created_at=at)
        for entry in said:
            if entry.what.startswith("definition changed"):
                ToolRecord.objects.filter(pk=tool.pk).update(changed_at=entry.at)
    _date(ApiKey, "created_at", [entry.at for entry in entries if entry.what.startswith("key created")])
    _date(PatternEdit, "at", [entry.at for entry in entries if entry.what.startswith("pattern ")])
    _date(BreakerOpening, "opened_at", [entry.at for entry in entries if " breaker opened" in entry.what])
    _date(BreakerOpening, "closed_at", [entry.at for entry in entries if " breaker closed" in entry.what])


def _date(model: type[Model], name: str, moments: Sequence[datetime]) -> None:
    """The rows in the order in which they were made."""
    for row, at in zip(model._default_manager.order_by("pk"), moments, strict=False):
        model._default_manager.filter(pk=row.pk).update(**{name: at})
