"""What the timeline draws, bar by bar."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speculation.call_table import call_rows
from speculation.detail import seen
from speculation.engine.evidence import REFUTED
from speculation.figures import compute
from speculation.story import Story
from speculation.strip import draw_strip
from speculation.timeline import MARKS, MOST_BARS, draw, lay_out
from tests.speculation.test_figures import schedules
from tests.speculation.written_log import WrittenLog, example, in_order


def drawn(log, **options):
    story = Story(log)
    return draw(story, compute(story, now=options.get("now")), **options)


def bars(timeline, lane):
    return [bar for bar in timeline.bars if bar.lane == lane]


def test_used_joined_missed_and_plain_calls_each_have_their_bar():
    timeline = drawn(example())
    states = sorted((bar.state, bar.short) for bar in timeline.bars if bar.lane in ("tools", "guess") and bar.short)
    assert states == [
        ("authoritative", "search_policy"),
        ("authoritative", "update_record"),
        ("joined", "✓» get_payment"),
        ("miss", "✕ get_order"),
        ("miss", "✕ get_refund"),
        ("used", "✓ get_order"),
        ("used", "✓ get_user"),
    ]


def test_a_joined_run_is_hollow_from_the_moment_it_was_asked_for():
    solid, hollow = [bar for bar in bars(drawn(example()), "guess") if bar.pick == "3.0"]
    assert (solid.state, solid.start, solid.end) == ("joined", 6.5, 9.0)
    assert (hollow.state, hollow.start, hollow.end) == ("joined_after", 9.0, 9.9)
    assert solid.row == hollow.row


def test_runs_that_overlap_have_rows_of_their_own():
    timeline = drawn(example())
    for lane in ("tools", "would", "guess"):
        rows = {}
        for bar in bars(timeline, lane):
            rows.setdefault(bar.row, {}).setdefault(bar.pick, []).append(bar)
        for groups in rows.values():
            spans = sorted((min(b.start for b in group), max(b.end for b in group)) for group in groups.values())
            assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert timeline.rows == {"turns": 1, "model": 1, "tools": 1, "would": 1, "guess": 2}


def test_lanes_are_there_before_anything_happened():
    timeline = drawn(WrittenLog().started())
    assert timeline.rows == {"turns": 1, "model": 1, "tools": 1, "would": 1, "guess": 1}
    assert timeline.is_live


def test_the_ghost_shows_where_a_served_call_would_have_run():
    ghosts = {bar.pick: bar for bar in bars(drawn(example()), "would") if bar.state == "ghost"}
    hidden = {bar.pick: bar for bar in bars(drawn(example()), "would") if bar.state == "hidden"}
    assert {pick: (bar.start, bar.end) for pick, bar in ghosts.items()} == {
        "1.0": (3.1, pytest.approx(4.5)), "2.0": (6.4, pytest.approx(9.0)), "3.0": (9.0, pytest.approx(12.4)),
    }  # fmt: skip
    assert (hidden["3.0"].start, hidden["3.0"].label) == (9.9, "hidden 2.5 s")


def test_an_open_run_has_no_end_and_a_guess_is_a_guess_until_the_session_ends():
    log = WrittenLog().started().add(0, "turn_started", turn=1, attempt=1).add(0.1, "first_token", turn=1)
    log.guess("g", 0.2, "read", start=0.3)
    by_state = {bar.state: bar for bar in drawn(log, now=4.0).bars}
    assert by_state["decode"].end is None
    assert by_state["guess"].end is None
    log.ends("g", 1.0).ended(5)
    assert {bar.state for bar in bars(drawn(log), "guess") if bar.short == "✕ read"} == {"miss"}
    assert all(bar.end is not None for bar in drawn(log).bars)


def test_queueing_is_drawn_apart_from_running():
    log = WrittenLog().started().turn(1, 0, 1, "read").requested("1.0", "read", 1, 1.5, 3)
    queued, run = bars(drawn(log.ended(3)), "tools")
    assert (queued.state, queued.start, queued.end) == ("queued", 1, 1.5)
    assert (run.state, run.start, run.end) == ("authoritative", 1.5, 3)


def test_skipped_calls_say_why():
    texts = [tick.text for tick in drawn(example()).ticks if tick.kind == "skipped"]
    assert texts == ["search_policy: no source for query", "update_record: writes: not eligible"]


def test_without_permission_calls_are_named_by_their_tool_alone():
    assert "W2378156" not in repr(drawn(example(), show_payloads=False))
    story = Story(example())
    assert "W2378156" not in repr([row.call for row in call_rows(story, compute(story), show_payloads=False)])


def long_log(turns=1000):
    log = WrittenLog().started()
    for number in range(1, turns + 1):
        start = number * 2.0
        log.turn(number, start, start + 1, "read").requested(f"{number}.0", "read", start + 1, start + 1.1, start + 1.9)
    return log.ended(turns * 2 + 10)


def test_a_very_long_session_is_merged_to_what_a_chart_can_draw():
    timeline = drawn(long_log())
    assert len(timeline.bars) <= MOST_BARS
    assert timeline.merged >= 2000
    assert any(bar.label.endswith(" calls") and bar.stands_for > 1 for bar in bars(timeline, "tools"))


def test_a_narrower_view_shows_each_bar_of_its_range_and_the_same_rows():
    whole, part = drawn(long_log()), drawn(long_log(), view=(100, 120))
    assert (part.merged, part.view) == (0, (90, 130))
    assert [bar.pick for bar in bars(part, "tools") if bar.state == "authoritative"] == [f"{k}.0" for k in range(45, 65)]
    assert part.rows == whole.rows
    assert part.slots[0] == (90, 0)
    assert all(90 <= at <= 130 for at, _ in part.slots)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 900), st.floats(0.01, 900))
def test_no_view_of_a_long_session_has_more_than_a_chart_can_draw(start, length):
    part = seen(LONG, (start, start + length))
    assert len(part.bars) <= MOST_BARS
    assert len(part.ticks) <= MOST_BARS
    inside = [bar for bar in LONG.bars if bar.end >= start - length / 2 and bar.start <= start + length * 1.5]
    assert sum(bar.stands_for for bar in part.bars) == len(inside)
    for state in {bar.state for bar in inside}:
        lengths = [sum(bar.end - bar.start for bar in bars if bar.state == state) for bars in (inside, part.bars)]
        assert lengths[0] == pytest.approx(lengths[1])
    rows = {(bar.lane, bar.row): [] for bar in part.bars}
    for bar in part.bars:
        rows[bar.lane, bar.row].append((bar.start, bar.end))
    for spans in rows.values():
        assert all(before[1] <= after[0] + 1e-6 for before, after in pairwise(sorted(spans)))


LONG = lay_out(Story(long_log(400)), compute(Story(long_log(400))))


def test_many_rows_are_still_no_more_than_a_chart_can_draw():
    log = WrittenLog().started().turn(1, 0, 100)
    for number in range(600):
        log.guess(f"g{number}", number / 100, "read", start=number / 100)
        log.ends(f"g{number}", 50 + number / 100)
    timeline = drawn(in_order(log.ended(100)))
    assert timeline.rows["guess"] == 600
    assert len(timeline.bars) <= MOST_BARS
    assert timeline.merged == 600 + 2 - len(timeline.bars)


def test_a_view_at_the_end_of_a_running_session_stays_open():
    log = WrittenLog().started().turn(1, 0, 5).add(5, "turn_started", turn=2, attempt=1).add(5, "first_token", turn=2)
    timeline = drawn(log, now=8.0, view=(6, 8.5))
    assert timeline.view == (4.75, float("inf"))
    assert [bar.key for bar in bars(timeline, "model")] == ["decode-0.0", "decode-5.0"]


def test_the_ruler_has_each_turn_from_its_start_to_the_next():
    assert [(bar.label, bar.start, bar.end) for bar in bars(drawn(example()), "turns")] == [
        ("turn 1", 0.1, 3.1), ("turn 2", 3.1, 6.4), ("turn 3", 6.4, 11.2), ("turn 4", 11.2, 15.8), ("turn 5", 15.8, 18.4),
    ]  # fmt: skip


def test_waiting_for_the_models_endpoint_is_drawn_apart():
    log = WrittenLog().started().add(0, "turn_started", turn=1, attempt=1).add(0, "turn_queued", turn=1)
    assert [(bar.state, bar.end) for bar in bars(drawn(log, now=1), "model")] == [("seat", None)]
    log.add(2, "turn_seated", turn=1).add(3, "first_token", turn=1)
    log.add(4, "turn_ended", turn=1, text="", calls=[], finish_reason="stop", usage={})
    phases = [(bar.state, bar.start, bar.end) for bar in bars(drawn(log.ended(4)), "model")]
    assert phases == [("seat", 0, 2), ("prefill", 2, 3), ("decode", 3, 4)]


def guessed(**payload):
    """One guess at 1.05 s, predicted on turn 1's end; what became of it follows."""
    log = WrittenLog().started().turn(1, 0, 1)
    log.add(1.05, "predicted", turn=1, abstained=[], candidates=[{"tool": "read", "arguments": {"id": 1}, "job": "g", "verdict": "admitted"}])
    return log.guess("g", 1.05, "read", {"id": 1}, start=1.2)


def links(log, kind):
    return [link.points for link in drawn(log).links if link.kind == kind]


def test_a_link_leads_from_what_triggered_a_prediction_to_the_launch_and_on_to_the_call():
    log = guessed().ends("g", 2).asks("2.0", 3, "read", "g", "used", {"id": 1}).returns("2.0", 3, "read", "g").ended(4)
    assert links(log, "launch") == [[(1, "model", 0), (1.2, "guess", 0)]]
    assert links(log, "promotion") == [[(2, "guess", 0), (3, "guess", 0), (3, "tools", 0)]]
    assert links(log, "refuted") == []


def test_a_miss_ends_at_the_seal_that_refuted_it():
    log = guessed().ends("g", 2).add(2.5, "arguments_sealed", turn=1, index=0, call_id="1.0", tool="list")
    log.add(3, "arguments_sealed", turn=1, index=1, call_id="1.1", tool="read").ended(4)
    assert links(log, "refuted") == [[(2, "guess", 0), (3, "guess", 0), (3, "model", 0)]]
    stopped = guessed().add(1.8, "job_preempted", job="g", reason=REFUTED).add(1.9, "job_released", job="g").ended(4)
    assert links(stopped, "refuted") == [[(1.9, "guess", 0), (1.8, "guess", 0), (1.8, "model", 0)]]


@given(schedules())
def test_the_table_and_the_chart_hold_the_same_calls_and_states(schedule):
    story = Story(schedule.log)
    figures = compute(story)
    rows = {row.pick: row.state for row in call_rows(story, figures)}
    shown = {bar.pick: bar.state for bar in draw(story, figures).bars if bar.lane in ("tools", "guess") and bar.state not in ("queued", "joined_after")}
    assert rows.keys() == shown.keys()
    same = {"authoritative": "skipped"}
    assert all(same.get(shown[pick], shown[pick]) == state for pick, state in rows.items())


@given(schedules())
def test_the_two_bars_differ_by_exactly_what_was_saved(schedule):
    story = Story(schedule.log)
    figures = compute(story)
    strip = draw_strip(story, figures)
    last = max(segment.end for segment in strip.without)
    assert last == pytest.approx(strip.without_seconds, abs=1e-4)
    assert strip.without_seconds - strip.actual_seconds == pytest.approx(figures.net_saved_seconds, abs=1e-6)
    assert strip.axis_seconds >= max(strip.without_seconds, strip.actual_seconds)


def test_a_long_sessions_bars_stand_for_several_turns_and_keep_their_sums():
    story = Story(long_log())
    strip = draw_strip(story, compute(story))
    assert strip.turns_a_block == 7
    assert len(strip.actual) == len(strip.without) == 2 * 143
    for kind in ("decode", "waits"):
        assert sum(s.seconds for s in strip.actual if s.kind == kind) == pytest.approx(1000 if kind == "decode" else 900)


@pytest.mark.parametrize("arm", ["off", "shadow", "holdout"])
def test_a_session_without_speculation_has_one_bar(arm):
    story = Story(example(arm=arm))
    assert draw_strip(story, compute(story)).without == ()


@given(st.floats(0, 5000), st.floats(0, 3))
def test_a_live_axis_stands_still_for_most_of_the_time(seconds, more):
    def axis(now):
        story = Story(WrittenLog().started())
        return draw_strip(story, compute(story, now=now)).axis_seconds

    assert axis(seconds) >= seconds
    assert axis(seconds + more) in (axis(seconds), pytest.approx(axis(seconds) * 1.3), pytest.approx(axis(seconds) * 1.69))


def test_every_state_has_a_word():
    assert all(mark.word for mark in MARKS.values())


def test_preempted_and_revoked_runs_keep_their_row():
    log = WrittenLog().started().turn(1, 0, 5).guess("g", 0, "read", start=1).add(2, "job_preempted", job="g", reason="slot needed")
    log.add(2.2, "job_released", job="g").guess("h", 1, "list", start=1).ends("h", 2).add(3, "job_discarded", job="h", reason="revoked")
    states = {(bar.state, bar.start, bar.end) for bar in bars(drawn(in_order(log.ended(5))), "guess")}
    assert {("preempted", 1, 2.2), ("revoked", 1, 2)} <= states
