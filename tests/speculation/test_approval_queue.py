"""What needs a decision, in which order, and what approving would save at least."""

from datetime import timedelta
from math import sqrt

import pytest
from django.utils import timezone

from speculation import policy
from speculation.approval_queue import Need, approval_queue, judged, pressing_need, runs_for_nobody
from speculation.decisions import Standing
from speculation.models import AgentProfile, Approval, Session, SessionFigures, ToolFigures, ToolRecord
from speculation.would_save import student, would_save

NOW = timezone.now()
SECONDS = (
    "queued task decode waited net_saved interference hidden would_hide wasted used".split()  # noqa: SIM905
)
COUNTS = "last_seq turns calls eligible_calls launches hits wasted_runs".split()  # noqa: SIM905
OF_TOOL = "calls eligible_calls failed_calls launches hits would_launches would_hits".split()  # noqa: SIM905


def a_tool(name: str, effect: str = "none", **fields: object) -> ToolRecord:
    return ToolRecord.objects.create(name=name, effect=effect, definition_hash="a" * 64, **fields)


def decided(tool: ToolRecord, level: str, **fields: object) -> Approval:
    terms = {"definition_hash": "a" * 64, "who": "op1", "why": "because", **fields}
    return Approval.objects.create(tool=tool, level=level, **terms)


def foreseen(agent: AgentProfile, arm: str = "shadow", **would_hide: float) -> Session:
    """An ended session of the agent, booked: by tool, what the shadow would have hidden."""
    session = Session.objects.create(agent=agent, task="t", status="succeeded", arm=arm, started_at=NOW, ended_at=NOW)
    figures = dict.fromkeys([f"{name}_seconds" for name in SECONDS], 0.0) | dict.fromkeys(COUNTS, 0)
    SessionFigures.objects.create(session=session, **figures)
    for name, seconds in would_hide.items():
        zeros = dict.fromkeys(OF_TOOL, 0) | {"hidden_seconds": 0.0, "wasted_seconds": 0.0}
        tool = ToolRecord.objects.get(name=name)
        ToolFigures.objects.create(session=session, tool=tool, would_hide_seconds=seconds, **zeros)
    return session


def test_the_least_that_a_tool_would_save_is_the_lower_end_of_its_means_interval() -> None:
    worth = would_save(sum_seconds=8.0, sum_of_squares=24.0, sessions=4, days=2.0)
    assert (worth.mean_seconds, worth.sessions_a_day) == (2.0, 2.0)
    assert worth.least_seconds == pytest.approx(max(0.0, 2.0 - 3.18 * sqrt((24 - 16) / 3 / 4)))
    steady = would_save(sum_seconds=30.0, sum_of_squares=31.0, sessions=30, days=1.0)
    assert steady.least_a_day_seconds == pytest.approx(30 * (1 - student(29) * sqrt(1 / 29 / 30)))
    assert would_save(5.0, 25.0, 1, 1.0).least_seconds == 0.0, "one session alone says nothing of the next"
    assert would_save(0.0, 0.0, 0, 1.0).mean_seconds == 0.0


@pytest.mark.parametrize(("degrees", "exact"), [(1, 12.706), (5, 2.571), (11, 2.201), (20, 2.086), (60, 2.000)])
def test_students_quantile_is_right_to_a_hundredth(degrees: int, exact: float) -> None:
    assert student(degrees) == pytest.approx(exact, rel=0.01)


@pytest.mark.django_db
def test_tools_are_ranked_by_the_least_that_approving_them_would_save_a_day() -> None:
    agent = AgentProfile.objects.create(name="support")
    steady, wild, idle, refused = (a_tool(name) for name in ("steady", "wild", "idle", "refused"))
    writer = a_tool("writer", "write")
    agent.tools.set([steady, wild, idle, refused, writer])
    decided(refused, "never")
    decided(steady, "shadow")
    for number in range(10):
        foreseen(agent, steady=1.0, wild=20.0 if number == 0 else 0.0, refused=9.0, writer=9.0)
    foreseen(agent, "off", steady=99.0)
    queue = approval_queue(NOW)
    assert [(item.tool.name, item.need) for item in queue] == [("steady", Need.APPROVE), ("wild", Need.APPROVE)]
    worth = queue[0].would_save
    assert (worth.sessions, worth.mean_seconds, worth.least_a_day_seconds) == (10, 1.0, 10.0)
    assert queue[1].would_save.mean_seconds == 2.0 and queue[1].would_save.least_seconds == 0.0


@pytest.mark.django_db
def test_what_no_longer_runs_comes_before_what_soon_will_not(django_assert_max_num_queries: object) -> None:
    agent = AgentProfile.objects.create(name="support")
    tools = {name: a_tool(name) for name in ("changed", "expired", "ending", "reviewed", "holds", "promising")}
    agent.tools.set(tools.values())
    decided(tools["changed"], "full", definition_hash="b" * 64)
    decided(tools["expired"], "canary", agent=agent, expires_at=NOW - timedelta(hours=1))
    decided(tools["ending"], "full", expires_at=NOW + timedelta(days=6))
    decided(tools["reviewed"], "review")
    decided(tools["holds"], "full", expires_at=NOW + timedelta(days=8))
    foreseen(agent, promising=1.0)
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        queue = approval_queue(NOW)
    needs = {item.tool.name: item.need for item in queue}
    assert needs == {
        "changed": Need.CHANGED,
        "expired": Need.EXPIRED,
        "reviewed": Need.REVIEW,
        "ending": Need.EXPIRING,
        "promising": Need.APPROVE,
    }
    assert [item.need for item in queue][3:] == [Need.EXPIRING, Need.APPROVE]


@pytest.mark.django_db
def test_a_newer_decision_settles_a_review_and_one_for_all_ends_those_of_single_agents() -> None:
    agent, tool = AgentProfile.objects.create(name="support"), a_tool("reader")
    old = decided(tool, "full", agent=agent, expires_at=NOW - timedelta(days=1))
    assert judged(tool, [old], NOW).words == "needs review: its approval expired"
    review = decided(tool, "review", why="its waste breaker opened 3 times in a day")
    assert pressing_need(tool, [review, old], NOW).need == Need.REVIEW
    assert judged(tool, [review, old], NOW).words == "needs review: its waste breaker opened 3 times in a day"
    canary = decided(tool, "canary", agent=agent)
    assert pressing_need(tool, [canary, review], NOW) is None
    for_all = decided(tool, "shadow")
    assert pressing_need(tool, [for_all, canary], NOW) is None
    assert runs_for_nobody([for_all, canary]) and not runs_for_nobody([canary, for_all])
    assert judged(tool, [for_all, canary], NOW).standing == Standing.SHADOW
    assert judged(tool, [], NOW).standing == Standing.UNREVIEWED


@pytest.mark.django_db(transaction=True)
def test_what_is_revoked_is_not_asked_about_again() -> None:
    agent, tool = AgentProfile.objects.create(name="support"), a_tool("reader")
    agent.tools.add(tool)
    foreseen(agent, reader=2.0)
    foreseen(agent, reader=2.0)
    assert len(approval_queue(NOW)) == 1
    policy.revoke(tool, who="op1", why="leak")
    assert approval_queue(NOW) == []
