"""The level transformed: a tool's warm-up runs before the call is asked for, the call itself never, and none is told of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError

from speculation import durations, events, jobs, new_jobs, policy, scheduler, unguessed, worker
from speculation.asked import AskedCall
from speculation.decisions import Standing, judge
from speculation.engine.scheduling import Refused
from speculation.exchanged import NOTHING_NEW
from speculation.figures import compute
from speculation.forecast import Forecast
from speculation.ledger import tool_sums
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, ToolRecord
from speculation.offers import WARMED_UP
from speculation.story import Story
from speculation.terms import offered_levels
from speculation.tool_rows import tool_rows
from speculation.verdicts import ONLY_WARMS, newest_approval
from speculation.warm_ups import warm_ups_of
from speculation.waste import waste_of
from tests.speculation.deciding import NOW, decide, verdict_on
from tests.speculation.foreseen import guess, wait_for
from tools import catalog
from tools.base import ToolResult

REFUND = {"table": "refunds", "key": "r1", "values": {"status": "settled"}}


@pytest.fixture
def update(approved_agent: AgentProfile) -> ToolRecord:
    tool = policy.register_tool("builtin", catalog.BUILTIN["update_record"])
    approved_agent.tools.add(tool)
    decide(tool, "transformed")
    return tool


def warm_ups(forecast: Forecast) -> list[ToolJob]:
    return list(ToolJob.objects.filter(session=forecast.session, transformed=True))


def run(job: ToolJob) -> ToolJob:
    """As a worker does, but for what the tool itself does."""
    started = worker.start(job.pk, 0)
    assert started is not None
    worker.finish(started, ToolResult(ok=True, content=""), 0.0)
    job.refresh_from_db()
    return job


def ask(forecast: Forecast, call_id: str = "1.0", **changed: Any) -> ToolJob:
    spec = forecast.toolbox["update_record"].spec_of({**REFUND, **changed})
    (job,) = scheduler.serve(forecast.session.pk, 1, [AskedCall(call_id, 1, spec)])
    job.refresh_from_db()
    return job


def test_a_tool_that_writes_may_be_let_warm_up_and_nothing_more(update: ToolRecord) -> None:
    assert offered_levels(update) == ("never", "shadow", "transformed")
    assert verdict_on(update, effect="idempotent_write") == "", "its warm-up"
    for level in ("canary", "full"):
        with pytest.raises(policy.DecisionRefused, match="writes"):
            decide(update, level)


def test_a_tool_without_a_warm_up_is_not_offered_it_and_cannot_be_decided_so(approved_agent: AgentProfile) -> None:
    tool = policy.register_tool("builtin", catalog.BUILTIN["write_file"])
    assert offered_levels(tool) == ("never", "shadow")
    with pytest.raises(policy.DecisionRefused, match="has no warm-up"):
        decide(tool, "transformed")


def test_a_reading_tool_that_may_only_warm_up_does_not_run_itself(approved_agent: AgentProfile) -> None:
    fetch = policy.register_tool("builtin", catalog.BUILTIN["fetch_page"])
    with pytest.raises(policy.DecisionRefused, match="outside party"):
        decide(fetch, "transformed")
    decide(fetch, "transformed", may_tell_outsiders=True)
    (row,) = tool_rows([fetch], NOW)
    assert row.chip == f"On: {ONLY_WARMS}" and row.verdict.only_warms


def test_a_foreseen_change_is_warmed_up_for_while_the_model_decodes_and_runs_only_when_asked(
    update: ToolRecord, listen: Callable[..., Forecast]
) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    (warm_up,) = warm_ups(forecast)
    assert (warm_up.arguments, warm_up.effect, warm_up.call_id) == ({"table": "refunds", "key": "r1"}, "none", None)
    told = forecast.session.events.get(kind="predicted").payload["candidates"]
    assert [(one["verdict"], one["job"]) for one in told] == [(WARMED_UP, str(warm_up.pk))]
    run(warm_up)
    own = ask(forecast)
    assert own.pk != warm_up.pk and own.warmed and own.promoted_at is None
    asked = forecast.session.events.get(kind="call_asked").payload
    assert asked["outcome"] == "requested"


def test_a_call_that_nobody_warmed_up_for_is_not_said_to_be_warmed(
    update: ToolRecord, listen: Callable[..., Forecast]
) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    assert not ask(forecast).warmed, "its warm-up has not run"
    assert not ask(forecast, "1.1", key="r2").warmed, "another record"


def test_guesses_at_other_values_share_a_warm_up(update: ToolRecord, listen: Callable[..., Forecast]) -> None:
    other = {**REFUND, "values": {"status": "refused"}}
    forecast = listen(guess("update_record", 0.5, **REFUND), guess("update_record", 0.4, **other))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    told = forecast.session.events.get(kind="predicted").payload["candidates"]
    assert [one["verdict"] for one in told] == [WARMED_UP, str(Refused.DUPLICATE)]


def test_arguments_that_the_tool_would_refuse_are_not_warmed_up_for(
    update: ToolRecord, listen: Callable[..., Forecast]
) -> None:
    forecast = listen(guess("update_record", 0.8, table="refunds"))
    wait_for(lambda: forecast.session.events.filter(kind="predicted").exists())
    told = forecast.session.events.get(kind="predicted").payload["candidates"]
    assert [one["verdict"] for one in told] == ["no warm-up for these arguments"]


def test_no_warm_up_ever_answers_a_call(update: ToolRecord, listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    warm_up = run(warm_ups(forecast)[0])
    with events.writing(forecast.session.pk) as log:
        assert not jobs.promote(log, warm_up, "1.0", policy_version=warm_up.policy_version)
    with pytest.raises(IntegrityError, match="job_dry_run_answers_no_call"):
        ToolJob.objects.filter(pk=warm_up.pk).update(call_id="1.0")


def test_the_change_itself_ends_a_warm_up_that_still_runs(update: ToolRecord, listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    (warm_up,) = warm_ups(forecast)
    assert worker.start(warm_up.pk, 0) is not None
    own = ask(forecast)
    assert own.status == JobStatus.RUNNING or worker.start(own.pk, 0) is not None
    warm_up.refresh_from_db()
    assert (warm_up.status, warm_up.end_reason) == (JobStatus.PREEMPTED, "invalidated")


def test_a_revoked_decision_ends_the_warm_ups_and_none_starts_after_it(
    update: ToolRecord, listen: Callable[..., Forecast]
) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    update.refresh_from_db()
    assert policy.revoke(update, who="op", why="no more").ended == 1
    (warm_up,) = warm_ups(forecast)
    assert worker.start(warm_up.pk, 0) is None
    assert verdict_on(update, effect="idempotent_write") == "writes: not eligible"


def test_a_tripped_decision_about_a_warm_up_is_sent_to_review(update: ToolRecord) -> None:
    assert policy.send_to_review(update, "tripped twice") is not None
    update.refresh_from_db()
    assert judge(update, newest_approval(update, None), NOW).standing == Standing.REVIEW


def test_without_the_decision_a_change_is_not_even_named_as_a_candidate(
    approved_agent: AgentProfile, listen: Callable[..., Forecast]
) -> None:
    approved_agent.tools.add(policy.register_tool("builtin", catalog.BUILTIN["update_record"]))
    forecast = listen(guess("read_file", 0.3, path="a.txt"))
    forecast.predictor.predictions = (*forecast.predictor.predictions, guess("update_record", 0.8, **REFUND))
    assert forecast._to_warm() == []


def test_what_a_warm_up_tells_an_outside_party_was_told_before(
    approved_agent: AgentProfile, listen: Callable[..., Forecast]
) -> None:
    fetch = policy.register_tool("builtin", catalog.BUILTIN["fetch_page"])
    approved_agent.tools.add(fetch)
    decide(fetch, "transformed", may_tell_outsiders=True)
    url = "https://example.org/page/2"
    forecast = listen(guess("fetch_page", 0.9, url=url))
    wait_for(lambda: forecast.session.events.filter(kind="predicted").exists())
    told = forecast.session.events.get(kind="predicted").payload["candidates"]
    assert [one["verdict"] for one in told] == [NOTHING_NEW]
    box = forecast.toolbox["fetch_page"]
    forecast.permits.exchanged.hear("builtin", {"url": "https://example.org/page/1"}, "")
    early = forecast.permits.early(box, box.spec_of({"url": url}))
    assert not isinstance(early, str), "the host is known, the page is told to nobody"
    assert early.arguments == {"host": "https://example.org"} and early.transformed


def test_warm_ups_are_counted_apart_from_guesses_and_from_waste(
    update: ToolRecord, listen: Callable[..., Forecast]
) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    warm_up = run(warm_ups(forecast)[0])
    with events.writing(forecast.session.pk) as log:
        jobs.discard(log, warm_up, "session_ended")
    story = Story(forecast.session.events.order_by("seq"))
    figures = compute(story)
    assert (figures.launches, figures.warm_ups, list(figures.wasted)) == (0, 1, [])
    assert figures.warm_up_seconds > 0
    assert all(waste_of(story, one, 10.0) is None for one in story.runs.values())
    assert tool_sums(story, figures).get("update_record", {}).get("launches", 0) == 0


def test_a_warm_up_is_no_run_of_its_tool(update: ToolRecord, listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    run(warm_ups(forecast)[0])
    assert durations.measure() == 0
    (row,) = tool_rows([update], warm_ups(forecast)[0].created_at)
    assert (row.measured.runs, row.measured.early) == (0, 0)


def test_what_warm_ups_spare_is_measured_beside_calls_without(
    update: ToolRecord, listen: Callable[..., Forecast]
) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    run(warm_ups(forecast)[0])
    for number, key in enumerate(["r1", "r2", "r3"]):
        own = run(ask(forecast, f"1.{number}", key=key))
    assert own.ended_at is not None
    seen = warm_ups_of(update, own.ended_at)
    assert (seen.runs, seen.warmed_calls, seen.cold_calls) == (1, 1, 2)
    assert seen.seconds > 0 and seen.warmed_median_seconds is not None and seen.cold_median_seconds is not None


def test_the_worker_runs_the_warm_up_and_not_the_call(
    update: ToolRecord, listen: Callable[..., Forecast], monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast = listen(guess("update_record", 0.8, **REFUND))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    tool = catalog.BUILTIN["update_record"]
    did: list[Any] = []
    monkeypatch.setattr(type(tool), "run", lambda self, arguments, context: did.append("ran"))
    monkeypatch.setattr(type(tool), "warm_up", lambda self, arguments, context: did.append(arguments))
    started = worker.start(warm_ups(forecast)[0].pk, 0)
    assert started is not None
    worker.perform(started)
    assert did == [{"table": "refunds", "key": "r1"}]
    started.refresh_from_db()
    assert (started.status, started.result) == (JobStatus.SUCCEEDED, {"ok": True, "content": "", "structured": None})


def test_a_check_is_no_warm_up(update: ToolRecord, listen: Callable[..., Forecast]) -> None:
    forecast = listen()
    spec = forecast.toolbox["read_file"].spec_of({"path": "a.txt"})
    (served,) = scheduler.serve(forecast.session.pk, 1, [AskedCall("1.0", 1, spec)])
    with events.writing(forecast.session.pk) as log:
        check = new_jobs.check(log, served, 5.0)
    assert check.transformed and not check.is_warm_up


def test_a_read_by_a_worker_that_came_after_its_warm_up_is_said_to_be_warmed(
    approved_agent: AgentProfile, listen: Callable[..., Forecast]
) -> None:
    fetch = policy.register_tool("builtin", catalog.BUILTIN["fetch_page"])
    approved_agent.tools.add(fetch)
    decide(fetch, "transformed", may_tell_outsiders=True, may_tell_new_values=True)
    forecast = listen(guess("fetch_page", 0.9, url="https://example.org/page/1"))
    wait_for(lambda: len(warm_ups(forecast)) == 1)
    forecast.settle()
    run(warm_ups(forecast)[0])
    session = Session.objects.get(pk=forecast.session.pk)
    urls = ["https://example.org/page/2", "https://elsewhere.example/"]
    calls = [
        AskedCall(f"1.{n}", 1, forecast.toolbox["fetch_page"].spec_of({"url": url})) for n, url in enumerate(urls)
    ]
    asked = unguessed.request(session, calls)
    assert [ToolJob.objects.get(pk=asked[call.call_id].pk).warmed for call in calls] == [True, False]


def test_a_tool_that_stumbles_over_its_own_warm_up_loses_no_call(
    update: ToolRecord, listen: Callable[..., Forecast], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def stumble(self: Any, arguments: Any) -> None:
        raise KeyError("table")

    forecast = listen()
    monkeypatch.setattr(type(catalog.BUILTIN["update_record"]), "warm_up_of", stumble)
    assert ask(forecast).status == JobStatus.QUEUED
    assert "could not say how it is warmed up for" in caplog.text
