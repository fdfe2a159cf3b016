"""Scoring is what the design says by hand, and nothing that comes later changes what was predicted before."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import pytest

from speculation.engine.evaluation import Follower, Judged, Scores, judge
from speculation.engine.lookback import Lookback
from speculation.engine.prediction import Predictor
from speculation.engine.script import RecordedSession, Script, World, drawn_seconds, write_script
from speculation.engine.types import Abstention, Event, EventKind, Prediction
from tests.engine.sessions import EVERY_TOOL, TOOLS, call, coding, mine, research, support, user
from tools.base import ToolCall

WORLD = World(EVERY_TOOL, drawn_seconds(1))


class Says:
    """Predicts the same calls at every turn, the first with the given probability."""

    def __init__(self, *calls: ToolCall, probability: float = 0.5) -> None:
        self._calls, self._probability = calls, probability

    def observe(self, event: Event) -> None:
        pass

    def predict(self, k: int, only_reads: bool = False) -> tuple[list[Prediction], list[Abstention]]:
        made = [Prediction(call, self._probability / rank, 0.5) for rank, call in enumerate(self._calls, start=1)]
        return made[:k], [Abstention("search", 0.2, "no query")]


def judged(events: Sequence[Event], follower: Follower) -> list[Judged]:
    script = write_script(RecordedSession(events), WORLD)
    return list(judge(follower, script, WORLD, lambda: 0.0, lambda seconds: None))


def scored(events: Sequence[Event], follower: Follower) -> Scores:
    scores = Scores()
    scores.add_all(judged(events, follower))
    return scores


def fetches(*urls: str) -> list[ToolCall]:
    return [ToolCall("fetch", {"url": url}) for url in urls]


def test_only_turns_that_call_a_tool_count_as_turns_and_all_count_for_calibration() -> None:
    scores = scored(research("owls", ["a", "b"]), Says())
    assert (scores.all.turns, scores.model_turns, len(scores.points)) == (3, 4, 4)


def test_a_hit_at_k_is_a_call_among_the_top_k() -> None:
    events = [user("go"), *call(1, "fetch", "x", url="c")]
    found = scored(events, Says(*fetches("a", "b", "c"))).to_json()
    assert [found[f"hit@{k}"] for k in (1, 3, 5)] == [0.0, 1.0, 1.0]
    assert found["name@1"] == 1.0


def test_the_first_listed_call_is_the_one_that_counts_and_any_call_counts_apart() -> None:
    events = [user("go"), *call(1, "fetch", "x", url="a"), *call(1, "fetch", "x", url="b")[1:]]
    found = scored(events, Says(*fetches("b"))).to_json()
    assert (found["hit@1"], found["any@1"], found["turns"]) == (0.0, 1.0, 1)


def test_cosmetic_arguments_covers_and_blanks_of_a_shell_take_no_part() -> None:
    whole = Says(ToolCall("read", {"path": "f", "why": "curious"}))
    assert judged([user("go"), *call(1, "read", "x", path="f", offset=9, why="bored")], whole)[0].rank == 1
    part = Says(ToolCall("read", {"path": "f", "offset": 9}))
    assert judged([user("go"), *call(1, "read", "x", path="f")], part)[0].rank is None
    shell = Says(ToolCall("shell", {"command": "cat   'f'"}))
    assert judged([user("go"), *call(1, "shell", "x", command="cat f")], shell)[0].rank == 1


def test_read_only_turns_are_those_whose_first_call_may_run_early() -> None:
    events = [
        user("go"),
        *call(1, "shell", "x", command="cat f"),
        *call(2, "shell", "x", command="rm f"),
        *call(3, "think", "x"),
        *call(4, "update", "x", id="1"),
    ]
    scores = scored(events, Says())
    assert (scores.read_only.turns, scores.all.turns) == (1, 4)


def test_the_top_prediction_is_held_to_its_probability_at_answers_too() -> None:
    events = [user("go"), *call(1, "fetch", "x", url="a"), Event(EventKind.LLM, turn=2, text="Done.")]
    assert scored(events, Says(*fetches("a"), probability=0.7)).points == [(0.7, True), (0.7, False)]
    assert scored(events, Says()).points == [(0.0, False), (0.0, False)]


def test_misses_at_three_have_a_reason() -> None:
    def loss(events: list[Event], *calls: ToolCall) -> str:
        return judged(events, Says(*calls))[0].loss

    fetch = [user("fetch a"), *call(1, "fetch", "x", url="a")]
    assert loss(fetch, *fetches("a")) == ""
    assert loss(fetch, *fetches("p", "q", "r", "a")) == "derived, but ranked below"
    assert loss(fetch, *fetches("p")) == "arguments not derived, all stood somewhere before"
    assert loss([user("go"), *call(1, "fetch", "x", url="new one")], *fetches("p")) == "arguments not derived, some new"
    assert (
        loss([user("owls"), *call(1, "search", "x", query="owls")])
        == "arguments not derived, all stood somewhere before"
    )
    assert loss(fetch, ToolCall("read", {"path": "a"})) == "tool not predicted"


def test_each_tool_has_figures_of_its_own() -> None:
    found = scored(research("owls", ["a", "b"]), Says(*fetches("https://example.org/a"))).to_json()
    assert {tool: row["turns"] for tool, row in found["per_tool"].items()} == {"fetch": 2, "search": 1}
    assert found["per_tool"]["fetch"]["hit@1"] == 0.5


def test_the_clock_is_read_around_each_prediction() -> None:
    ticks, seconds = count(), list[float]()
    script = write_script(RecordedSession(research("owls", ["a"])), WORLD)
    list(judge(Says(), script, WORLD, lambda: float(next(ticks)), seconds.append))
    assert seconds == [1.0] * 2 * len(script.turns)


def test_lookback_finds_what_stood_in_words_arguments_and_results() -> None:
    past = Lookback()
    past.observe(user("Order #W123"))
    past.observe(call(1, "search", {"hits": [{"id": 77}]}, query="red shoes")[1])
    assert past.holds(["#W123", 77, {"a": ["red shoes", True, None]}])
    assert not past.holds(["#W124"])


# Evaluation never sees the answer.


def rewritten(event: Event) -> Event:
    """Another event in its place, with nothing of the first."""
    if event.kind == EventKind.TOOL:
        return replace(event, tool="update", arguments={"id": "rewritten"}, result="rewritten")
    return replace(event, text="rewritten", thinking="rewritten")


class Maker:
    """Makes a follower of a session; an honest one does not look at the session it is given."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def follower(self, script: Script) -> Follower:
        return self.predictor.session()


class Peek(Says):
    """Predicts the call that comes."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._answers: Iterator[ToolCall] = (ask.call for turn in script.turns for ask in turn.asks)
        self._next = next(self._answers, None)

    def observe(self, event: Event) -> None:
        if event.kind == EventKind.TOOL:
            self._next = next(self._answers, None)

    def predict(self, k: int, only_reads: bool = False) -> tuple[list[Prediction], list[Abstention]]:
        return ([Prediction(self._next, 0.9, 0.9)] if self._next else []), []


class Peeking(Maker):
    """Makes followers that look at the call that comes."""

    def follower(self, script: Script) -> Follower:
        return Peek(script)


def predictions(make: Maker, events: Sequence[Event]) -> list[object]:
    """All that is predicted at each turn, for scoring and for launching."""
    script = write_script(RecordedSession(events), WORLD)
    turns = judge(make.follower(script), script, WORLD, lambda: 0.0, lambda seconds: None)
    return [(list(each.predictions), each.launchable, list(each.abstentions)) for each in turns]


def first_leak(make: Maker, events: Sequence[Event]) -> int | None:
    """The first turn whose predictions change when everything from that turn on is rewritten; None if none does."""
    turns = write_script(RecordedSession(events), WORLD).turns
    told = predictions(make, events)
    for number, turn in enumerate(turns):
        start = turn.step.start
        changed = [*events[:start], *map(rewritten, events[start:])]
        if predictions(make, changed)[: number + 1] != told[: number + 1]:
            return number
    return None


SESSIONS = [research("newts", ["e", "f"]), support("mia_lee_77", ["#W7", "#W8"]), coding("lib", ["x.py", "y.py"])]
LEARNED = mine(
    research("owls", ["a", "b"]), support("tim_ray_12", ["#W1", "#W2", "#W3"]), coding("src", ["a.py", "b.py"])
)


@pytest.mark.parametrize("events", SESSIONS, ids=["research", "support", "coding"])
def test_what_comes_later_changes_no_earlier_prediction(events: list[Event]) -> None:
    maker = Maker(Predictor(LEARNED, TOOLS))
    assert any(told[0] for told in predictions(maker, events))
    assert first_leak(maker, events) is None


@pytest.mark.parametrize("events", SESSIONS, ids=["research", "support", "coding"])
def test_a_predictor_that_peeks_is_caught(events: list[Event]) -> None:
    assert first_leak(Peeking(Predictor(LEARNED, TOOLS)), events) == 0
