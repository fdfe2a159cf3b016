"""How soon news arrives, computed from what was noted on both sides."""

from paste_web.benchmarks.page_news import apart, delays
from paste_web.benchmarks.page_writer import lines_for


def test_an_event_arrives_with_the_first_message_that_reaches_as_far() -> None:
    told = [(10.0, 3), (10.5, 5), (11.0, 5), (12.0, 9)]
    assert delays(told, [(3, 9.9), (4, 10.1), (5, 10.2), (6, 11.5)]) == [10.0 - 9.9, 10.5 - 10.1, 10.5 - 10.2, 0.5]


def test_what_nobody_was_told_of_has_no_delay() -> None:
    assert delays([(10.0, 3)], [(3, 9.0), (4, 9.5)]) == [1.0]
    assert delays([], [(1, 0.0)]) == []


def test_what_was_committed_while_a_watcher_had_no_connection_is_told_apart() -> None:
    committed = [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert apart(committed, [(2.0, 3.0)]) == ([(1, 1.0), (3, 3.0), (4, 4.0)], [(2, 2.0)])
    assert apart(committed, []) == (committed, [])


def test_a_log_to_be_written_has_as_many_entries_as_were_asked_for_and_does_not_end() -> None:
    lines = lines_for(2, 500)
    assert len(lines) == 500
    assert all(line.kind != "session_ended" for line in lines)
