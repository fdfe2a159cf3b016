"""The forecast hears the model stream: it launches what has become likely, stops what is refuted, and stays out of the way."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import transaction
from django.db.models import F

from speculation import scheduler
from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    FirstToken,
    RequestedCall,
    TextDelta,
    ToolNamed,
)
from speculation.engine.evidence import REFUTED
from speculation.engine.scheduling import Refused
from speculation.engine.types import Event, EventKind
from speculation.forecast import Forecast
from speculation.models import Approval, JobStatus, Session, ToolJob, ToolRecord
from speculation.policy import decide, register_tool
from speculation.scheduler import AskedCall
from tests.speculation.foreseen import Foreseen, guess, guesses, hear, predicted, wait_for
from tools import catalog

pytestmark = pytest.mark.slow


UNLIKELY = [guess("read_file", 0.1, path="a.txt"), guess("read_file", 0.08, path="b.txt"), guess("list_files", 0.1)]


def test_a_prefix_that_only_one_candidate_has_launches_it_while_the_call_is_written(
    listen: Callable[..., Forecast],
) -> None:
    forecast = listen(*UNLIKELY)
    hear(forecast, FirstToken(), TextDelta("Well, "))
    assert guesses(forecast) == {}, "none was likely enough"
    hear(forecast, ToolNamed(0, "read_file"))
    assert set(guesses(forecast)) == {"a.txt", "b.txt"}, "the tool's name made both likely"


def test_a_completed_argument_launches_what_it_leaves(listen: Callable[..., Forecast]) -> None:
    many = [guess("read_file", 0.02, path=f"{n}.txt") for n in range(10)]
    forecast = listen(*many)
    hear(forecast, ToolNamed(0, "read_file"))
    assert guesses(forecast) == {}
    hear(forecast, ArgumentsDelta(0, "read_file", '{"path": "7.t'))
    assert set(guesses(forecast)) == {"7.txt"}


def test_words_alone_can_launch(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("read_file", 0.15, path="notes/a.txt"), guess("read_file", 0.14, path="notes/b.txt"))
    hear(forecast, TextDelta("I will now read the file notes/b.txt to see "))
    assert set(guesses(forecast)) == {"notes/b.txt"}


def test_a_guess_that_the_written_call_refutes_is_stopped_and_the_log_says_why(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("read_file", 0.5, path="a.txt"), guess("read_file", 0.3, path="b.txt"))
    wait_for(lambda: len(guesses(forecast)) == 2)
    hear(forecast, ToolNamed(0, "read_file"), ArgumentsDelta(0, "read_file", '{"path": "b.txt"'))
    assert guesses(forecast) == {"a.txt": (JobStatus.PREEMPTED, REFUTED), "b.txt": (JobStatus.QUEUED, "")}
    told = forecast.session.events.get(kind="job_preempted")
    assert told.payload["reason"] == REFUTED


def test_a_named_change_stops_every_guess_that_waits_or_runs(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("read_file", 0.5, path="a.txt"), guess("list_files", 0.4, path="."))
    wait_for(lambda: len(guesses(forecast)) == 2)
    hear(forecast, ToolNamed(0, "write_file"))
    assert set(guesses(forecast).values()) == {(JobStatus.PREEMPTED, REFUTED)}


def test_a_call_that_was_asked_for_is_not_stopped(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("read_file", 0.5, path="a.txt"))
    wait_for(lambda: len(guesses(forecast)) == 1)
    spec = forecast.toolbox["read_file"].spec_of({"path": "a.txt"})
    (job,) = scheduler.serve(forecast.session.pk, 1, [AskedCall("1.0", 1, spec)])
    hear(forecast, ToolNamed(1, "write_file"))
    job.refresh_from_db()
    assert (job.status, job.call_id) == (JobStatus.QUEUED, "1.0")


def test_a_sealed_read_that_nobody_foresaw_is_launched_while_another_call_streams(
    listen: Callable[..., Forecast],
) -> None:
    forecast = listen()
    call = RequestedCall("1.0", "read_file", {"path": "unforeseen.txt"})
    hear(forecast, ToolNamed(0, "read_file"), ArgumentsDelta(0, "read_file", '{"path": "unforeseen.txt"}'))
    hear(forecast, ArgumentsSealed(0, call))
    assert guesses(forecast) == {}, "it may be the last, and then it is asked for at once"
    hear(forecast, ToolNamed(1, "list_files"))
    assert guesses(forecast) == {"unforeseen.txt": (JobStatus.QUEUED, "")}


def test_a_sealed_read_behind_a_sealed_change_waits_for_it(listen: Callable[..., Forecast]) -> None:
    forecast = listen()
    change = RequestedCall("1.0", "write_file", {"path": "a.txt", "text": "x"})
    read = RequestedCall("1.1", "read_file", {"path": "a.txt"})
    hear(forecast, ToolNamed(0, "write_file"), ArgumentsSealed(0, change), ToolNamed(1, "read_file"))
    hear(forecast, ArgumentsSealed(1, read), ToolNamed(2, "list_files"), ArgumentsDelta(2, "list_files", "{"))
    assert guesses(forecast) == {}


def test_a_change_is_never_launched_however_certain(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("write_file", 0.9, path="a.txt", text="x"))
    hear(forecast, ToolNamed(0, "write_file"), ArgumentsDelta(0, "write_file", '{"path": "a.txt", "text": "x"'))
    hear(forecast, ArgumentsSealed(0, RequestedCall("1.0", "write_file", {"path": "a.txt", "text": "x"})))
    hear(forecast, ToolNamed(1, "write_file"))
    assert ToolJob.objects.filter(session=forecast.session).count() == 0


def test_without_an_approval_nothing_runs_however_certain_and_the_reason_is_told_once(
    listen: Callable[..., Forecast],
) -> None:
    tool = register_tool("builtin", catalog.BUILTIN["read_file"])
    decide(
        tool,
        "never",
        who="tester",
        why="no more",
        expected_definition_hash=tool.definition_hash,
        expected_policy_version=tool.policy_version,
    )
    forecast = listen(*UNLIKELY)
    hear(forecast, ToolNamed(0, "read_file"), ArgumentsDelta(0, "read_file", '{"path": "a.'))
    hear(forecast, ArgumentsDelta(0, "read_file", '{"path": "a.t'), ArgumentsDelta(0, "read_file", '{"path": "a.txt"'))
    assert guesses(forecast) == {}
    assert sum("a.txt: refused by tester" in each for each in predicted(forecast)) <= 2
    asked = AskedCall("1.0", 1, forecast.toolbox["read_file"].spec_of({"path": "a.txt"}))
    assert forecast.why_unserved(asked) == "refused by tester"


def test_an_outside_party_is_told_nothing_new_early_unless_the_decision_says_so(listen: Callable[..., Forecast]) -> None:
    tool = register_tool("builtin", catalog.BUILTIN["read_file"])
    ToolRecord.objects.filter(pk=tool.pk).update(open_world=True)
    known, unknown = guess("read_file", 0.5, path="a.txt"), guess("read_file", 0.4, path="b.txt")
    forecast = listen(known, unknown)
    wait_for(lambda: any("something new" in each for turn in predicted(forecast) for each in turn))
    assert guesses(forecast) == {}
    forecast.remember(Event(EventKind.TOOL, tool="list_files", arguments={}, result="a.txt\nREADME"))
    forecast.begin(2)
    forecast.settle()
    assert set(guesses(forecast)) == {"a.txt"}, "its name came from that server"
    Approval.objects.update(may_tell_new_values=True)
    ToolRecord.objects.filter(pk=tool.pk).update(policy_version=F("policy_version") + 1)
    forecast.begin(3)
    forecast.settle()
    assert "b.txt" in guesses(forecast)


def test_a_part_is_told_why_its_whole_was_not_launched(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("read_file", 0.1, path="a.txt"))
    forecast.settle()
    box = forecast.toolbox["read_file"]
    part = {"path": "a.txt", "first_line": 3}
    asked = AskedCall("1.0", 1, box.spec_of(part), part=box.part_of(part))
    assert forecast.why_unserved(asked) == Refused.LOW_PROBABILITY
    assert forecast.why_unserved(replace(asked, part=None)) == "not predicted"


def test_a_session_without_speculation_does_not_listen(listen: Callable[..., Forecast]) -> None:
    forecast = listen(*UNLIKELY, speculation="off")
    hear(forecast, ToolNamed(0, "read_file"), ArgumentsDelta(0, "read_file", '{"path": "a.txt"'))
    assert guesses(forecast) == {} and predicted(forecast) == []


def test_a_long_turn_writes_few_events(listen: Callable[..., Forecast]) -> None:
    forecast = listen(*UNLIKELY)
    for n in range(400):
        forecast.hear(TextDelta(f"word{n} a.txt b.txt read file list "))
        time.sleep(0.001)
    hear(forecast, ToolNamed(0, "read_file"))
    for n in range(len('{"path": "a.txt"')):
        hear(forecast, ArgumentsDelta(0, "read_file", '{"path": "a.txt"'[:n]), pause_seconds=0.0)
    assert len(predicted(forecast)) <= 4
    assert len(guesses(forecast)) <= 3


def test_the_stream_is_not_held_up_by_a_launch_that_waits(listen: Callable[..., Forecast]) -> None:
    forecast = listen(*UNLIKELY)
    wait_for(lambda: forecast._pending is not None and forecast._pending.done())
    with transaction.atomic():
        Session.objects.select_for_update().get(pk=forecast.session.pk)
        started = time.monotonic()
        forecast.hear(ToolNamed(0, "read_file"))
        for _ in range(500):
            forecast.hear(ArgumentsDelta(0, "read_file", '{"path": "'))
        assert time.monotonic() - started < 0.2
        assert forecast._pending is not None and not forecast._pending.done(), "the launch waits for the session's row"
    wait_for(lambda: len(guesses(forecast)) == 2)


def test_a_broken_predictor_is_ours_alone(listen: Callable[..., Forecast]) -> None:
    forecast = listen(predictor=Foreseen(fails=True))
    hear(forecast, TextDelta("Let me see. "), ToolNamed(0, "read_file"), ArgumentsDelta(0, "read_file", '{"path": "a"'))
    forecast.settle()
    assert guesses(forecast) == {}


def test_a_tool_that_does_not_exist_stops_nothing(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("read_file", 0.5, path="a.txt"))
    wait_for(lambda: len(guesses(forecast)) == 1)
    hear(forecast, ToolNamed(0, "fly"), ArgumentsDelta(0, "fly", '{"to": "moon"'))
    assert guesses(forecast) == {"a.txt": (JobStatus.QUEUED, "")}


def test_what_streams_after_the_turn_is_settled_launches_nothing(listen: Callable[..., Forecast]) -> None:
    forecast = listen(*UNLIKELY)
    forecast.settle()
    hear(forecast, ToolNamed(0, "read_file"))
    assert guesses(forecast) == {}


def test_a_refuted_guess_that_is_asked_for_after_all_runs_as_any_other_call(listen: Callable[..., Forecast]) -> None:
    forecast = listen(guess("read_file", 0.5, path="a.txt"))
    wait_for(lambda: len(guesses(forecast)) == 1)
    hear(forecast, ToolNamed(0, "write_file"))
    spec = forecast.toolbox["read_file"].spec_of({"path": "a.txt"})
    (job,) = scheduler.serve(forecast.session.pk, 1, [AskedCall("1.1", 1, spec)])
    assert job.status == JobStatus.QUEUED and job.call_id == "1.1"
    asked = forecast.session.events.get(kind="call_asked")
    assert (asked.payload["outcome"], asked.payload["reason"]) == ("requested", REFUTED)
