"""A recorded turn streams at its pace, and nothing of it is heard before it was written."""

import gzip
import json
import random
from itertools import islice
from pathlib import Path

import pytest

from speculation import traces
from speculation.engine.evidence import Evidence
from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor
from speculation.engine.replay import replay
from speculation.engine.script import RecordedSession, Script, World, drawn_seconds, write_script
from speculation.engine.steps import Step
from speculation.engine.streaming import ARMS, EvidenceGuesser, Pace, Senses, evidence_effect, stream_turn
from speculation.engine.types import Event, EventKind
from tests.engine.sessions import TOOLS, call, mine, support, user
from tools.base import ToolCall

WORLD = World(TOOLS, drawn_seconds(7))
TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
CALLS = [
    ToolCall("get_user", {"user_id": "über_17", "limit": 5, "fields": ["a", "b"]}),
    ToolCall("update", {"id": 'x"y'}),
]


def moments(
    text: str = "Let me look.", seconds: float = 10.0, calls: list[ToolCall] = CALLS
) -> list[tuple[float, Evidence]]:
    return list(stream_turn(text, calls, seconds))


def test_a_turn_begins_after_its_prefill_and_ends_with_its_seconds() -> None:
    at = [moment for moment, _ in moments()]
    assert at == sorted(at)
    assert at[0] > 2.0 and at[-1] == pytest.approx(10.0)
    assert moments()[-1][1].sealed == tuple(CALLS)


def test_a_turn_that_says_nothing_streams_nothing() -> None:
    assert moments("", calls=[]) == []


def test_what_is_heard_was_written_by_then() -> None:
    """The turn's characters in order, name and JSON of each call: no evidence holds more of them than its moment allows."""
    text = "Let me look."
    whole = text + "".join(c.tool + json.dumps(dict(c.arguments), ensure_ascii=False) for c in CALLS)
    for at, evidence in moments(text):
        written = whole[: round((at / 10.0 - 0.2) / 0.8 * len(whole))]
        assert written.startswith(evidence.text)
        rest = written[len(text) :]
        for sealed in evidence.sealed:
            expected = sealed.tool + json.dumps(dict(sealed.arguments), ensure_ascii=False)
            assert rest.startswith(expected)
            rest = rest[len(expected) :]
        assert rest.startswith(evidence.tool)
        for name, value in evidence.arguments.items():
            assert f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" in rest
        if evidence.partial_name:
            assert json.dumps(evidence.partial_value, ensure_ascii=False)[:-1] in rest


def test_two_turns_that_differ_only_later_are_heard_alike_until_then() -> None:
    one = [ToolCall("get_user", {"user_id": "ada_1"})]
    other = [ToolCall("get_user", {"user_id": "bob_2"})]
    for (at, heard), (_, heard_of_other) in zip(moments(calls=one), moments(calls=other), strict=True):
        if heard != heard_of_other:
            assert heard.partial_name or heard.arguments or heard.sealed
            break
        assert at < 10.0


def test_a_long_turn_comes_in_bounded_pieces() -> None:
    calls = [ToolCall("write", {"text": "x" * 50_000})]
    assert len(list(stream_turn("y" * 50_000, calls, 5.0, Pace(most_pieces=100)))) < 110


def test_senses_leave_out_what_is_not_heard() -> None:
    whole = Evidence("text", "get_user", {"user_id": "7"}, "name", "A", (ToolCall("fetch", {}),))
    assert Senses(partial=False, seal=False).of(whole) == Evidence("text")
    assert Senses(text=False, partial=False).of(whole) == Evidence(sealed=whole.sealed)
    assert Senses(text=False, seal=False).of(whole).tool == "get_user"


TRAINING = mine(support("ada_1", ["#A1", "#A2"]), support("bob_2", ["#B1"]), support("cy_3", ["#C1", "#C2", "#C3"]))


def session_of_a_stranger() -> list[Event]:
    """Its order was in no list before: only what streams can tell it."""
    return [*support("dan_4", ["#D1", "#D2"])[:-1], *call(5, "get_details", {"id": "#Z9"}, order_id="#D3")]


def script(events: list[Event], turn_seconds: float = 6.0) -> Script:
    seconds = {number: turn_seconds for number, event in enumerate(events) if event.kind == EventKind.LLM}
    return write_script(RecordedSession(events, seconds), WORLD)


def test_the_guesser_yields_as_soon_as_a_call_has_become_worth_it() -> None:
    events = [*support("dan_4", ["#D1"])[:5], *call(3, "get_details", {"id": "#C2"}, order_id="#C2")]
    guesser = EvidenceGuesser(events, Predictor(TRAINING, TOOLS), World(TOOLS, drawn_seconds(7), min_probability=0.8))
    step = Step(start=len(events[:5]), calls=[events[6]])
    for event in events[:5]:
        guesser.observe(event)
    waves = list(guesser.during(step, 6.0))
    assert waves and all(0.0 < at < 6.0 for at, _ in waves)
    assert events[6].arguments in [dict(p.call.arguments) for _, predictions in waves for p in predictions]


def test_evidence_hides_more_than_the_turns_start_alone_and_the_arms_differ_only_in_what_they_hear() -> None:
    scripts = [script(session_of_a_stranger()), script(support("eve_5", ["#E1", "#E2"]))]
    world = World(TOOLS, drawn_seconds(7), min_probability=0.7)
    effect = evidence_effect(scripts, Predictor(TRAINING, TOOLS), world)
    assert set(effect) == set(ARMS)
    assert len({totals.reads for totals in effect.values()}) == 1
    assert effect["text+partial"].exposed_tool_seconds < effect["start"].exposed_tool_seconds
    assert effect["all"].hits > effect["start"].hits


def test_a_seal_launches_while_another_call_still_streams() -> None:
    turn = [
        Event(EventKind.LLM, turn=1),
        Event(
            EventKind.TOOL, turn=1, tool="fetch", status="ok", arguments={"url": "https://nowhere.example"}, result="x"
        ),
        Event(EventKind.TOOL, turn=1, tool="search", status="ok", arguments={"query": "q" * 200}, result="y"),
    ]
    events = [user("go"), *turn]
    guesser = EvidenceGuesser(events, Predictor([], TOOLS), WORLD, ARMS["seal"])
    guesser.observe(events[0])
    (at, predictions), *_ = guesser.during(Step(start=1, calls=turn[1:]), 10.0)
    assert [p.call.arguments for p in predictions] == [{"url": "https://nowhere.example"}]
    assert at < 6.0


@pytest.mark.slow
@pytest.mark.skipif(not (TRACES / "tau_bench.jsonl.gz").exists(), reason="recorded sessions are not here")
def test_text_and_partial_arguments_remove_a_tenth_of_what_the_start_leaves_on_tau_bench() -> None:
    effects = traces.Effects.read(TRACES / "effects.json")
    with gzip.open(TRACES / "tau_bench.jsonl.gz", "rt") as lines:
        sessions = [traces.parse(json.loads(line)) for line in islice(lines, 160)]
    tools = {event["name"] for one in sessions for event in one.events if event["type"] == "tool"}
    world = World({tool: effects.traits("tau_bench", tool) for tool in tools}, drawn_seconds(1))
    tasks = sorted({one.task_id for one in sessions})
    random.Random(1).shuffle(tasks)
    tested = set(tasks[:20])
    miner = Miner("tau_bench", tools=world.tools)
    for one in sessions:
        if one.task_id not in tested:
            miner.observe_session(one.to_events())
    predictor = Predictor(miner.patterns(), world.tools)
    scripts = [write_script(RecordedSession(one.to_events()), world) for one in sessions if one.task_id in tested]

    def exposed(name: str) -> float:
        def guesser(number: int) -> EvidenceGuesser:
            return EvidenceGuesser(scripts[number].session.events, predictor, world, ARMS[name])

        return replay(scripts, guesser, world).exposed_tool_seconds

    assert exposed("text+partial") <= 0.9 * exposed("start")
