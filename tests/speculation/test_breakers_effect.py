"""While a breaker is open nothing runs early, whoever asks, and everybody is told the same reason."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Max
from django.utils import timezone

from speculation import breakers_open, breakers_opening, breakers_pausing, policy, worker
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.forecast import Forecast
from speculation.models import AgentProfile, AuditEntry, BreakerOpening, ToolJob, ToolRecord, WorkerPool
from speculation.tool_rows import tool_rows
from tests.speculation.foreseen import guess, guesses, predicted
from tools import catalog

KINDS = [kind for kind in Kind if kind != Kind.PAUSE]
Listen = Callable[..., Forecast]


def open_for(subject: Subject, kind: Kind = Kind.WASTE) -> BreakerOpening:
    opening = breakers_opening.open_breaker(Trip(kind, subject, 9.0, Limits(1, 60, 300), "a test says so"))
    assert opening is not None
    return opening


def reader() -> ToolRecord:
    return ToolRecord.objects.get(name="read_file")


@pytest.mark.parametrize("kind", KINDS)
def test_a_guess_is_refused_with_the_kind_of_breaker_that_is_open(listen: Listen, kind: Kind) -> None:
    open_for(Subject(tool=reader().pk), kind)
    forecast = listen(guess("read_file", 0.9, path="a.txt"))
    forecast.settle()
    assert predicted(forecast) == [[f"a.txt: breaker open: {kind}"]]
    assert guesses(forecast) == {}


def test_a_breaker_stops_its_tool_its_agent_or_all(listen: Listen, approved_agent: AgentProfile) -> None:
    lister = ToolRecord.objects.get(name="list_files")
    for subject, is_stopped in (
        (Subject(tool=reader().pk), True),
        (Subject(tool=lister.pk), False),
        (Subject(agent=approved_agent.pk), True),
        (Subject(agent=AgentProfile.objects.create(name="another").pk), False),
        (Subject(), True),
    ):
        opening = open_for(subject)
        forecast = listen(guess("read_file", 0.9, path="a.txt"))
        forecast.settle()
        assert (guesses(forecast) == {}) == is_stopped, subject
        breakers_opening.reset(opening, who="op1", why="next")


def test_admission_looks_again_under_the_pools_lock(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast judged before the breaker opened: only admission can know."""
    opened = []
    forecast = listen()
    forecast.settle()
    forecast.predictor.predictions = (guess("read_file", 0.9, path="late.txt"),)  # type: ignore[attr-defined]
    judge = forecast._judge

    def judge_just_before(*arguments: object) -> object:
        forecasted = judge(*arguments)  # type: ignore[arg-type]
        opened.append(open_for(Subject()))
        return forecasted

    monkeypatch.setattr(forecast, "_judge", judge_just_before)
    forecast.begin(2)
    forecast.settle()
    assert opened and guesses(forecast) == {}
    assert predicted(forecast)[-1] == ["late.txt: breaker open: waste"]


def test_the_tools_chip_says_which_breaker_is_open(listen: Listen, approved_agent: AgentProfile) -> None:
    assert tool_rows([reader()], timezone.now())[0].chip == "On"
    opening = open_for(Subject(tool=reader().pk), Kind.INTERFERENCE)
    row = tool_rows([reader()], timezone.now())[0]
    assert row.chip == "Off: breaker open: interference" and row.opening == opening
    assert tool_rows(ToolRecord.objects.filter(name="list_files"), timezone.now())[0].chip == "On"
    open_for(Subject(agent=approved_agent.pk))
    assert tool_rows(ToolRecord.objects.filter(name="list_files"), timezone.now())[0].chip == "On"


def test_a_tool_sent_to_review_says_why_and_is_approved_again(approved_agent: AgentProfile) -> None:
    policy.send_to_review(reader(), "its waste breaker opened 3 times in a day")
    assert (
        tool_rows([reader()], timezone.now())[0].chip == "Off: needs review: its waste breaker opened 3 times in a day"
    )
    with pytest.raises(policy.DecisionRefused, match="no level"):
        decide("review")
    decide("full")
    assert tool_rows([reader()], timezone.now())[0].chip == "On"


def decide(level: str) -> None:
    tool = policy.register_tool("builtin", catalog.BUILTIN["read_file"])
    policy.decide(
        tool, level, who="op1", why="looked at", expected_definition_hash=tool.definition_hash,
        expected_policy_version=tool.policy_version,
    )  # fmt: skip


def test_of_several_that_are_open_the_tools_own_is_named_first() -> None:
    of_all, of_tool = BreakerOpening(kind="waste"), BreakerOpening(kind="errors", tool_id=1)
    of_agent = BreakerOpening(kind="pause", agent_id=2)
    every = [of_all, of_agent, of_tool]
    assert breakers_open.first_against(every, 1, 2) is of_tool
    assert breakers_open.first_against(every, 9, 2) is of_agent
    assert breakers_open.first_against(every, 9, None) is of_all
    assert breakers_open.refusal(of_agent) == "agent paused"
    assert breakers_open.first_against([of_tool], 9, 2) is None


def test_an_agent_is_paused_and_resumed_with_a_reason(listen: Listen, approved_agent: AgentProfile) -> None:
    running = listen(guess("read_file", 0.9, path="a.txt"))
    running.settle()
    assert breakers_pausing.pause_agent(approved_agent, who="op1", why="it asks for nonsense")
    assert not breakers_pausing.pause_agent(approved_agent, who="op2", why="again")
    assert guesses(running) == {"a.txt": ("preempted", "paused")}
    forecast = listen(guess("read_file", 0.9, path="a.txt"))
    forecast.settle()
    assert predicted(forecast) == [["a.txt: agent paused"]]
    entry = AuditEntry.objects.first()
    assert entry is not None and entry.what == "agent pause opened: agent listened to"
    assert entry.why == "paused by op1: it asks for nonsense"
    assert breakers_opening.reset(BreakerOpening.objects.get(), who="op1", why="mended")
    forecast.begin(2)
    forecast.settle()
    assert guesses(forecast) == {"a.txt": ("queued", "")}


def test_all_speculation_is_paused_and_resumed_once(listen: Listen) -> None:
    running = listen(guess("read_file", 0.9, path="a.txt"))
    running.settle()
    assert breakers_pausing.pause_all(True, who="op1", why="an incident")
    assert not breakers_pausing.pause_all(True, who="op2", why="also")
    assert guesses(running) == {"a.txt": ("preempted", "paused")}
    assert WorkerPool.objects.get(name="tools").pause_reason == "paused by op1: an incident"
    assert breakers_pausing.pause_all(False, who="op1", why="over")
    assert not breakers_pausing.pause_all(False, who="op1", why="over")
    audited = AuditEntry.objects.filter(what__contains="all speculation").order_by("id").values_list("what", "why")
    assert list(audited) == [
        ("speculation paused: all speculation", "an incident"),
        ("speculation resumed: all speculation", "over"),
    ]


@pytest.mark.parametrize("kind", [Kind.WASTE, Kind.DIVERGENCE])
def test_within_a_second_of_an_opening_nothing_starts_any_more(listen: Listen, kind: Kind) -> None:
    """Three sessions that guess and a worker that starts what is queued, all as fast as they can, while it opens."""
    WorkerPool.objects.update(slots=100, reserved=0)
    forecasts = [listen() for _ in range(3)]
    over = threading.Event()

    def keep_guessing(forecast: Forecast) -> None:
        turn = 1
        while not over.is_set():
            turn += 1
            forecast.settle()
            fresh = guess("read_file", 0.9, path=f"{uuid4().hex}.txt")
            forecast.predictor.predictions = (fresh,)  # type: ignore[attr-defined]
            forecast.begin(turn)
            forecast.settle()
            time.sleep(0.01)

    def keep_starting() -> None:
        while not over.is_set():
            for job in ToolJob.objects.filter(status="queued", call_id=None)[:5]:
                worker.run_job(str(job.pk), job.attempt)
            connection.close()
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as busy:
        at_work = [busy.submit(keep_guessing, forecast) for forecast in forecasts]
        at_work.append(busy.submit(keep_starting))
        try:
            wait_for_starts(4)
            opening = open_for(Subject(tool=reader().pk), kind)
            time.sleep(1.5)
        finally:
            over.set()
        for one in at_work:
            one.result()
    last = ToolJob.objects.filter(call_id=None).aggregate(started=Max("started_at"), made=Max("created_at"))
    assert (last["started"] - opening.opened_at).total_seconds() < 1.0
    assert (last["made"] - opening.opened_at).total_seconds() < 1.0
    assert not ToolJob.objects.filter(call_id=None, status__in=["queued", "running"]).exists()


def wait_for_starts(count: int) -> None:
    deadline = time.monotonic() + 10
    while ToolJob.objects.filter(started_at__isnull=False, call_id=None).count() < count:
        assert time.monotonic() < deadline, "no guess ever started"
        time.sleep(0.01)
