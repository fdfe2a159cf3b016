"""A replay tells a guesser of its own runs that have ended, and of nothing else to come; chains are launched on that."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from speculation.engine.guessing import ChainGuesser, Guesser, NoGuesses, PatternGuesser
from speculation.engine.prediction import Predictor
from speculation.engine.replay import Totals, replay
from speculation.engine.script import RecordedSession, World, drawn_seconds, write_script
from speculation.engine.steps import Step
from speculation.engine.types import Event, EventKind, Prediction
from tests.engine.sessions import EVERY_TOOL, call, coding, mine, research, support, user
from tools.base import ToolCall

WORLD = World(EVERY_TOOL, drawn_seconds(7))
USER, OTHER_USER = ToolCall("get_user", {"user_id": "7"}), ToolCall("get_user", {"user_id": "8"})
ORDERS = ToolCall("get_orders", {"user_id": "7"})
ASKED = [user("go"), *call(1, "get_user", {"id": 7}, user_id="7"), *call(2, "get_orders", [], user_id="7")]
TURN_SECONDS = 3.0


def run(events: Sequence[Event], guesser: Guesser, seconds: float, slots: int = 4) -> Totals:
    world = replace(WORLD, seconds_of=lambda key: seconds, slots=slots)
    recorded = RecordedSession(events, dict.fromkeys(range(len(events)), TURN_SECONDS))
    return replay([write_script(recorded, world)], lambda number: guesser, world)


class Steps(NoGuesses):
    """Guesses some calls, and for every run that has ended what was foreseen to follow it."""

    def __init__(self, first: Sequence[ToolCall], follows: dict[str, Sequence[ToolCall]] | None = None) -> None:
        self._calls, self._follows = list(first), follows or {}
        self.told: list[Event] = []
        self.guesses = 0

    def ended(self, event: Event) -> bool:
        self.told.append(event)
        self._calls = [*self._follows.get(event.tool, ())]
        return bool(self._calls)

    def guess(self, step: Step, k: int) -> list[Prediction]:
        self.guesses += 1
        return [Prediction(one, 0.9, 0.9, expected_use_seconds=60.0) for one in self._calls]


def test_what_follows_a_run_is_launched_at_the_moment_of_its_end() -> None:
    guesser = Steps([USER], {"get_user": [ORDERS]})
    totals = run(ASKED, guesser, seconds=2.0)
    assert totals.launched == [[2, 0]]
    assert (totals.hits, totals.exposed_tool_seconds) == (2, 0.0)
    assert guesser.told == [ASKED[2], ASKED[4]]
    late = run(ASKED, Steps([USER], {"get_user": [ORDERS]}), seconds=3.5)
    assert late.exposed_tool_seconds == 0.5 + 3.5, "it ended after the turn, when its own call had joined it"


def test_a_run_that_no_call_asks_for_ends_without_a_word() -> None:
    guesser = Steps([OTHER_USER], {"get_user": [ORDERS]})
    totals = run(ASKED, guesser, seconds=1.0)
    assert (guesser.told, totals.hits, guesser.guesses) == ([], 0, 2)


def test_a_result_that_is_recorded_behind_a_change_is_not_known_before_it() -> None:
    changed = [user("go"), *call(1, "update", "ok", id="1"), *call(2, "get_user", {"id": 8}, user_id="7")]
    guesser = Steps([USER], {"get_user": [ORDERS]})
    run(changed, guesser, seconds=1.0)
    assert guesser.told == [changed[4]]
    assert guesser.guesses == 3, "told in the second turn, when the change was over and the call was guessed anew"


def test_a_run_that_ended_between_turns_is_told_at_the_start_of_the_next() -> None:
    events = [user("go"), *call(1, "fetch", "x", url="u"), *call(2, "get_user", {"id": 7}, user_id="7")]
    guesser = Steps([USER], {"get_user": [ORDERS]})
    totals = run(events, guesser, seconds=5.0)
    assert guesser.told == [events[4]]
    assert totals.launched == [[1, 1]]


def test_what_follows_takes_the_place_of_what_waits_and_needs_a_slot_and_a_probability_too() -> None:
    wrong = [ToolCall("search", {"query": str(n)}) for n in range(3)]
    totals = run(ASKED, Steps([USER, *wrong], {"get_user": [ORDERS]}), seconds=2.0, slots=1)
    assert (totals.launched, totals.refused["no free slot"]) == ([[2, 0]], 3)
    change = ToolCall("update", {"id": "1"})
    refused = run(ASKED, Steps([USER], {"get_user": [change]}), seconds=1.0)
    assert (refused.launches, refused.refused["writes: not eligible"]) == (1, 2)


def test_a_guesser_that_wants_nothing_after_a_run_leaves_what_waits() -> None:
    wrong = ToolCall("fetch", {"url": "u"})
    assert run(ASKED, Steps([USER, wrong, ORDERS]), seconds=1.0, slots=1).launched == [[3, 0]]


LEARNED = Predictor(
    mine(
        *(research(topic, [f"{topic}1", f"{topic}2"]) for topic in ("owls", "bats", "cats", "rats")),
        *(support(f"{name}_ray_1{n}", [f"#W{n}", f"#W{n}7"]) for n, name in enumerate(("tim", "ann", "joe", "eve"))),
        *(coding(folder, ["a.py", "b.py"]) for folder in ("src", "app", "lib")),
    ),
    EVERY_TOOL,
)
ME, NEWTS = support("mia_lee_77", ["#W7", "#W8"]), research("newts", ["e", "f"])


def arms(events: Sequence[Event], seconds: float) -> list[Totals]:
    """The plain arm, and chains of one to three calls."""
    guessers = [PatternGuesser(LEARNED), *(ChainGuesser(LEARNED, WORLD, depth) for depth in (1, 2, 3))]
    return [run(events, guesser, seconds) for guesser in guessers]


def test_chains_of_one_call_are_the_plain_arm_and_longer_ones_launch_a_turn_earlier() -> None:
    plain, one, two, three = arms(NEWTS, seconds=2.0)
    assert one == plain
    assert (plain.launched, two.launched) == ([[1, 2, 0, 0]], [[3, 0, 0, 0]]), (
        "the pages, while the model asks for the search"
    )
    assert plain.hits == two.hits == three.hits == 3


def test_chains_hide_more_of_what_takes_longer_than_a_turn() -> None:
    assert [totals.exposed_tool_seconds for totals in arms(ME, seconds=5.0)] == [4.0, 4.0, 2.0, 2.0]


# Nothing that is to come is seen but the results of runs that have ended.


class Told(ChainGuesser):
    """Notes what it guessed, turn by turn, and which results it was told until then."""

    def __init__(self) -> None:
        super().__init__(LEARNED, replace(WORLD, min_probability=0.05), 3)
        self.told: list[Event] = []
        self.guessed: list[tuple[int, list[Prediction], int]] = []

    def ended(self, event: Event) -> bool:
        self.told.append(event)
        return super().ended(event)

    def guess(self, step: Step, k: int) -> list[Prediction]:
        guesses = super().guess(step, k)
        self.guessed.append((step.start, guesses, len(self.told)))
        return guesses


class Peeking(Told):
    """Guesses what the turn is going to call."""

    def guess(self, step: Step, k: int) -> list[Prediction]:
        super().guess(step, k)
        self.guessed[-1][1].extend(Prediction(ToolCall(c.tool, c.arguments), 0.9, 0.9) for c in step.calls)
        return self.guessed[-1][1]


def rewritten(event: Event) -> Event:
    if event.kind == EventKind.TOOL:
        return replace(event, tool="fetch", arguments={"url": "rewritten"}, result="rewritten")
    return replace(event, text="rewritten", thinking="rewritten")


def first_leak(make: Callable[[], Told], events: Sequence[Event]) -> int | None:
    """The first guess that changes when all that comes is rewritten but for what it had been told; None if none does."""
    original = make()
    run(events, original, seconds=0.7)
    assert len(original.guessed) > len([event for event in events if event.kind == EventKind.LLM]), "chains were tried"
    for number, (start, _, told) in enumerate(original.guessed):
        known = original.told[:told]
        changed = [event if at < start or event in known else rewritten(event) for at, event in enumerate(events)]
        other = make()
        run(changed, other, seconds=0.7)
        if other.guessed[: number + 1] != original.guessed[: number + 1]:
            return number
    return None


@pytest.mark.parametrize("events", [ME, NEWTS], ids=["support", "research"])
def test_what_comes_later_changes_no_earlier_guess_but_by_runs_that_ended(events: list[Event]) -> None:
    assert first_leak(Told, events) is None
    assert first_leak(Peeking, events) == 0
