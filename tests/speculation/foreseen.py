"""A forecast that was told what to foresee, and what a test does to it and reads off it."""

import time
from collections.abc import Callable

from speculation.agent.types import ModelEvent
from speculation.engine.prediction import SessionPredictor
from speculation.engine.types import Abstention, Event, Prediction
from speculation.forecast import Forecast
from speculation.models import ToolJob
from speculation.policy import decide, register_tool
from tools import catalog
from tools.base import ToolCall

WRITING = ("write_file", "update_record")


class Foreseen(SessionPredictor):
    """A predictor that was told what to say."""

    def __init__(self, *predictions: Prediction, fails: bool = False) -> None:
        self.predictions, self.fails = predictions, fails

    def observe(self, event: Event) -> None: ...

    def predict(self, k: int, only_reads: bool = False) -> tuple[list[Prediction], list[Abstention]]:
        if self.fails:
            raise RuntimeError("this predictor is broken")
        reads = [p for p in self.predictions if not only_reads or p.call.tool not in WRITING]
        return reads[:k], []

    def tool_chances(self) -> dict[str, float]:
        return {}


def guess(tool: str, probability: float, **arguments: object) -> Prediction:
    return Prediction(ToolCall(tool, arguments), probability, probability, f"* => {tool}", 30.0)


def approve(name: str) -> None:
    tool = register_tool("builtin", catalog.BUILTIN[name])
    pinned = {
        "expected_definition_hash": tool.definition_hash,
        "expected_policy_version": tool.policy_version,
        "may_tell_outsiders": True,
    }
    decide(tool, "full", who="tester", why="it only reads", **pinned)


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def hear(forecast: Forecast, *streamed: ModelEvent, pause_seconds: float = 0.06) -> None:
    """Each event, so long after the last look that it is looked at, and until it was."""
    for event in streamed:
        wait_for(lambda: forecast._pending is None or forecast._pending.done())
        time.sleep(pause_seconds)
        forecast.hear(event)
        wait_for(lambda: forecast._pending is None or forecast._pending.done())


def guesses(forecast: Forecast) -> dict[str, tuple[str, str]]:
    """Path of each speculative job to its status and the reason of its end."""
    jobs = ToolJob.objects.filter(session=forecast.session, call_id=None)
    return {job.arguments.get("path", ""): (job.status, job.end_reason) for job in jobs}


def predicted(forecast: Forecast) -> list[list[str]]:
    told = forecast.session.events.filter(kind="predicted").order_by("seq")
    return [
        [f"{one['arguments'].get('path')}: {one['verdict']}" for one in each.payload["candidates"]] for each in told
    ]
