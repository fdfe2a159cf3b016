"""A session as Chrome's trace events: what Perfetto needs to draw it, and nothing that may not be read."""

import json
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given

from speculation.chrome_trace import chrome_trace
from speculation.figures import compute
from speculation.story import Story
from tests.speculation.test_figures import schedules
from tests.speculation.written_log import WrittenLog, example


def traced(log, **options):
    story = Story(log)
    return chrome_trace(story, compute(story, now=options.get("now")), title="9f3c21ab", **options)


def events(trace, phase):
    return [event for event in trace["traceEvents"] if event["ph"] == phase]


def lanes(trace):
    """Complete events by (process, thread), in order."""
    found = defaultdict(list)
    for event in events(trace, "X"):
        found[event["pid"], event["tid"]].append(event)
    return found


def names(trace, kind):
    return {
        (event["pid"], event["tid"]): event["args"]["name"] for event in events(trace, "M") if event["name"] == kind
    }


def with_predictions(log):
    log = WrittenLog(log)
    log.insert(5, log[4].__class__(0, "predicted", log[4].at, {"turn": 1, "abstained": [], "candidates": [
        {"tool": "get_user", "arguments": {"user": "u_4412"}, "probability": 0.8, "job": "g1", "verdict": "admitted"}]}))  # fmt: skip
    return WrittenLog(
        entry.__class__(seq, entry.kind, entry.at, entry.payload) for seq, entry in enumerate(log, start=1)
    )


@given(schedules())
def test_nothing_overlaps_within_a_lane_and_everything_is_whole_microseconds(schedule):
    trace = traced(schedule.log)
    for slices in lanes(trace).values():
        assert all(before["ts"] + before["dur"] <= after["ts"] for before, after in pairwise(slices))
    assert all(
        isinstance(e["ts"], int) and e["ts"] >= 0 and e.get("dur", 0) >= 0
        for e in trace["traceEvents"]
        if e["ph"] != "M"
    )


@given(schedules())
def test_its_lanes_add_up_to_the_figures(schedule):
    story = Story(schedule.log)
    figures = compute(story)
    seconds = defaultdict(float)
    trace = traced(schedule.log)
    for event in events(trace, "X"):
        seconds[event["cat"]] += event["dur"] / 1e6
    assert seconds["turn"] == pytest.approx(figures.decode_seconds, abs=1e-3)
    assert seconds["waits"] == pytest.approx(figures.waited_seconds, abs=1e-3)
    assert seconds["call"] == pytest.approx(sum(call.waited_seconds for call in figures.calls), abs=1e-3)
    assert seconds["run"] == pytest.approx(sum(call.run_seconds for call in figures.calls), abs=1e-3)
    saved = sum(e["args"]["net_saved_seconds_estimated"] for e in events(trace, "X") if e["cat"] == "waits")
    without_waits = [
        turn.net_saved_seconds for turn in figures.turns if turn.asked_at is not None and turn.waited_seconds <= 0
    ]
    assert saved + sum(without_waits) == pytest.approx(figures.net_saved_seconds, abs=1e-3)


@given(schedules())
def test_each_flow_begins_once_ends_once_and_stands_in_a_slice(schedule):
    trace = traced(schedule.log)
    flows, found = defaultdict(list), lanes(trace)
    for phase in "stf":
        for event in events(trace, phase):
            flows[event["id"]].append(event)
            around = [each for each in found[event["pid"], event["tid"]] if 0 <= event["ts"] - each["ts"] < each["dur"]]
            assert len(around) == 1
    for steps in flows.values():
        assert (steps[0]["ph"], steps[-1]["ph"]) == ("s", "f")
        assert [step["ts"] for step in steps] == sorted(step["ts"] for step in steps)


def test_a_flow_leads_from_the_prediction_over_the_launch_to_the_call():
    trace = traced(with_predictions(example()))
    processes = {pid: name.split(" · ")[0] for (pid, _), name in names(trace, "process_name").items()}
    steps = defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] in "stf":
            steps[event["id"]].append(processes[event["pid"]])
    assert ["Predictions", "Speculative", "Calls"] in steps.values()
    assert ["Speculative", "Calls"] in steps.values()


def test_lanes_have_names_and_runs_that_overlap_have_lanes_of_their_own():
    trace = traced(example())
    rows = Counter(names(trace, "thread_name").values())
    assert [rows[name] for name in ("Turns", "Decode", "Waits for tools")] == [1, 1, 1]
    assert rows["Calls"] == 2
    assert rows["Speculative"] == 2
    assert rows["Tools, authoritative"] >= 1
    assert {(event["pid"], event["tid"]) for event in events(trace, "X")} <= names(trace, "thread_name").keys()


def test_queued_and_running_are_apart_and_seals_are_instants():
    log = (
        WrittenLog()
        .started()
        .turn(1, 0, 1, "read")
        .add(0.9, "arguments_sealed", turn=1, index=0, call_id="1.0", tool="read")
    )
    log.requested("1.0", "read", 1, 1.5, 3)
    trace = traced(log.ended(3))
    runs = [(event["cat"], event["ts"], event["dur"]) for event in events(trace, "X") if event["pid"] == 4]
    assert runs == [("queued", 1_200_000, 500_000), ("run", 1_700_000, 1_500_000)]
    assert [(event["name"], event["ts"], event["s"]) for event in events(trace, "i")] == [
        ("arguments sealed: read", 1_100_000, "t")
    ]


def test_a_run_says_what_became_of_it_why_and_how_likely_it_was():
    runs = {event["args"]["job"]: event["args"] for event in events(traced(example()), "X") if event["cat"] == "run"}
    assert (runs["g1"]["outcome"], runs["g1"]["probability"]) == ("used", 0.8)
    assert (runs["g3"]["outcome"], runs["g3"]["reason"]) == ("miss", "session_ended")


def test_arguments_are_written_only_for_who_may_read_them():
    log = with_predictions(example())
    assert "u_4412" in json.dumps(traced(log, show_payloads=True))
    hidden = json.dumps(traced(log))
    assert all(value not in hidden for value in ("u_4412", "W2378156", "pay_881", "duplicate", "Refund it."))


def test_a_running_session_is_traced_so_far():
    log = WrittenLog().started().add(0, "turn_started", turn=1, attempt=1).add(0.1, "first_token", turn=1)
    trace = traced(log.guess("g", 0.2, "read", start=0.3), now=4.0)
    assert not trace["otherData"]["has_ended"]
    assert {event["name"]: event["ts"] + event["dur"] for event in events(trace, "X") if event["args"].get("open")} == {
        "turn 1": 4_200_000, "decodes": 4_200_000, "read()": 4_200_000,
    }  # fmt: skip


def test_a_session_without_events_is_an_empty_trace():
    assert [event for event in traced(WrittenLog())["traceEvents"] if event["ph"] != "M"] == []
