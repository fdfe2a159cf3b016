"""One session, several readers: figures, the two bars, the Calls table and the exported trace say the same to 1 ms."""

import pytest
from hypothesis import given

from speculation.call_table import call_rows
from speculation.chrome_trace import chrome_trace
from speculation.figures import compute
from speculation.story import Story
from speculation.strip import draw_strip
from tests.speculation.test_figures import schedules
from tests.speculation.written_log import WrittenLog, in_order


def near(seconds):
    return pytest.approx(seconds, abs=1e-3)


def far_ahead():
    """Turns of 1 s; in the first, guesses for the calls of the second and third begin, of 5 s each."""
    log = WrittenLog().started().turn(1, 0, 1, "think").requested("1.0", "think", 1, 1, 8)
    for job, tool in (("g2", "read"), ("g3", "list")):
        log.guess(job, 0.5, tool, start=0.5).ends(job, 5.5)
    log.turn(2, 8, 9, "read").asks("2.0", 9, "read", "g2", "used").returns("2.0", 9, "read", "g2")
    log.turn(3, 9, 10, "list").asks("3.0", 10, "list", "g3", "used").returns("3.0", 10, "list", "g3")
    return in_order(log.turn(4, 10, 11).ended(11))


def test_a_session_that_saves_more_than_a_turn_takes_still_adds_up():
    figures = compute(Story(far_ahead()))
    longest_turn = max(turn.decode_seconds + turn.waited_seconds for turn in figures.turns)
    assert figures.net_saved_seconds == near(10.0)
    assert figures.net_saved_seconds > longest_turn
    assert figures.task_seconds == near(11.0)
    assert figures.without_speculation_seconds == near(4 * 1.0 + 7.0 + 5.0 + 5.0)
    strip = draw_strip(Story(far_ahead()), figures)
    assert strip.without[-1].end == near(21.0)


@given(schedules())
def test_figures_bars_table_and_trace_agree(schedule):
    story = Story(schedule.log)
    figures = compute(story)
    strip, rows = draw_strip(story, figures), call_rows(story, figures)
    slices = [event for event in chrome_trace(story, figures, title="s")["traceEvents"] if event.get("cat") == "call"]
    assert strip.without_seconds - strip.actual_seconds == near(figures.net_saved_seconds)
    assert sum(each.seconds for each in strip.actual if each.kind == "waits") == near(figures.waited_seconds)
    assert sum(row.hidden_seconds for row in rows if row.hidden_seconds) == near(figures.hidden_seconds)
    in_trace = {each["args"]["call_id"]: each["args"] for each in slices}
    assert in_trace.keys() == {row.pick for row in rows if row.turn}
    for row in rows:
        if row.turn:
            assert in_trace[row.pick]["waited_seconds"] == near(row.waited_seconds)
            assert in_trace[row.pick]["hidden_seconds"] == near(row.hidden_seconds)
