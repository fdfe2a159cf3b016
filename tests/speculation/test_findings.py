"""What a guess has found is supposed to be asked for, and what follows is launched, as long as it could be served."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest

from speculation import events, jobs
from speculation.agent.types import ArgumentsDelta, TextDelta, ToolNamed
from speculation.engine.prediction import SessionPredictor
from speculation.engine.scheduling import MIN_PROBABILITY
from speculation.engine.types import Abstention, Event, Prediction, ToolTraits
from speculation.forecast import Forecast
from speculation.models import JobStatus, ToolJob
from speculation.policy import decide, register_tool
from tests.speculation.foreseen import Foreseen, guess, guesses, hear, predicted, wait_for
from tools import catalog
from tools.base import ToolResult

pytestmark = pytest.mark.slow


class Following(Foreseen):
    """Also told that files are read after they were listed: the first one named."""

    def __init__(self, *predictions: Prediction) -> None:
        super().__init__(*predictions)
        self._listed = ""

    @property
    def tools(self) -> Mapping[str, ToolTraits]:
        return {name: ToolTraits(name, True, False) for name in ("list_files", "read_file")}

    def fork(self) -> SessionPredictor:
        return Following(*self.predictions)

    def observe(self, event: Event) -> None:
        if event.tool == "list_files":
            self._listed = str(event.result).split()[0]

    def predict(self, k: int, only_reads: bool = False) -> tuple[list[Prediction], list[Abstention]]:
        if self._listed:
            return [guess("read_file", 0.8, path=self._listed)], []
        return super().predict(k, only_reads)


LISTED = guess("list_files", 0.6, path=".")


def finish(forecast: Forecast, path: str, content: str) -> ToolJob:
    """Run a waiting guess as a worker would."""
    wait_for(lambda: path in guesses(forecast) and (forecast._pending is None or forecast._pending.done()))
    job = ToolJob.objects.select_related("tool").get(session=forecast.session, arguments__path=path)
    with events.writing(forecast.session.pk) as log:
        version = job.tool.policy_version
        assert jobs.start(log, job, attempt=job.attempt, worker="me", policy_version=version)
        assert jobs.commit(log, job, attempt=job.attempt, result=ToolResult(True, content))
    return job


def next_turn(forecast: Forecast) -> None:
    forecast.begin(2)
    wait_for(lambda: forecast._pending is not None and forecast._pending.done())


def test_what_follows_a_guess_that_ended_is_launched_while_the_model_still_writes(
    listen: Callable[..., Forecast],
) -> None:
    forecast = listen(predictor=Following(LISTED), chain_depth=2)
    wait_for(lambda: "." in guesses(forecast))
    hear(forecast, TextDelta("Let me "))
    assert set(guesses(forecast)) == {"."}, "it has not ended"
    finish(forecast, ".", "a.txt b.txt")
    hear(forecast, TextDelta("see. "))
    assert guesses(forecast)["a.txt"] == (JobStatus.QUEUED, "")
    (candidate,) = forecast.session.events.filter(kind="predicted").last().payload["candidates"]
    assert candidate["after"] == [{"tool": "list_files", "arguments": {"path": "."}}]
    assert candidate["probability"] == pytest.approx(0.6 * 0.8, abs=0.02)
    hear(forecast, TextDelta("Or not. "), TextDelta("Well. "))
    assert len(guesses(forecast)) == 2, "nothing is launched twice"


def test_what_a_guess_of_an_earlier_turn_found_is_stood_on_at_the_start_of_the_next(
    listen: Callable[..., Forecast],
) -> None:
    forecast = listen(predictor=Following(LISTED), chain_depth=2)
    finish(forecast, ".", "a.txt b.txt")
    next_turn(forecast)
    assert guesses(forecast)["a.txt"] == (JobStatus.QUEUED, "")


def test_without_chains_nothing_stands_on_a_guess(listen: Callable[..., Forecast]) -> None:
    forecast = listen(LISTED)
    finish(forecast, ".", "a.txt b.txt")
    next_turn(forecast)
    hear(forecast, TextDelta("Let me see. "))
    assert set(guesses(forecast)) == {"."}
    assert not forecast.findings, "it did not even look"


@pytest.mark.parametrize(
    "change",
    [{"call_id": "1.0"}, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, {"epoch": 2}, {"policy_version": 0}],
)
def test_nothing_stands_on_a_result_that_could_not_be_served(
    listen: Callable[..., Forecast], change: dict[str, object]
) -> None:
    forecast = listen(predictor=Following(LISTED), chain_depth=2)
    job = finish(forecast, ".", "a.txt b.txt")
    ToolJob.objects.filter(pk=job.pk).update(**change)
    next_turn(forecast)
    hear(forecast, TextDelta("Let me see. "))
    assert "a.txt" not in guesses(forecast)


def test_what_follows_is_launched_once_the_supposed_call_is_being_written(listen: Callable[..., Forecast]) -> None:
    unlikely = guess("list_files", 1.1 * MIN_PROBABILITY, path=".")
    forecast = listen(predictor=Following(unlikely), chain_depth=2)
    finish(forecast, ".", "a.txt b.txt")
    hear(forecast, TextDelta("Let me see. "))
    assert "a.txt" not in guesses(forecast), "0.8 times that is not enough"
    hear(forecast, ToolNamed(0, "list_files"), ArgumentsDelta(0, "list_files", '{"path": "."'))
    assert guesses(forecast)["a.txt"] == (JobStatus.QUEUED, "")
    offered = [each for moment in predicted(forecast) for each in moment if each.startswith("a.txt")]
    assert offered == ["a.txt: admitted"]


def test_nothing_follows_a_guess_that_the_written_call_rules_out(listen: Callable[..., Forecast]) -> None:
    forecast = listen(predictor=Following(LISTED), chain_depth=2)
    finish(forecast, ".", "a.txt b.txt")
    hear(forecast, ToolNamed(0, "write_file"), ArgumentsDelta(0, "write_file", '{"path": "c.txt"'))
    assert "a.txt" not in guesses(forecast)


def test_a_chain_launches_nothing_that_is_not_approved(listen: Callable[..., Forecast]) -> None:
    forecast = listen(predictor=Following(LISTED), chain_depth=2)
    finish(forecast, ".", "a.txt b.txt")
    tool = register_tool("builtin", catalog.BUILTIN["read_file"])
    pinned = {"expected_definition_hash": tool.definition_hash, "expected_policy_version": tool.policy_version}
    decide(tool, "never", who="tester", why="no more", **pinned)
    next_turn(forecast)
    assert "a.txt" not in guesses(forecast)
    assert "a.txt: refused by tester" in predicted(forecast)[-1][-1]
