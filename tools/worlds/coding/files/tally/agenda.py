"""A day's appointments."""

from tally.durations import parse_duration
from tally.ranges import merge_ranges


def busy_seconds(appointments: list[tuple[int, str]]) -> int:
    """Seconds of a day that are taken; an appointment is its start second and a duration such as "1h 30m"."""
    taken = merge_ranges([(start, start + parse_duration(text)) for start, text in appointments])
    return sum(end - start for start, end in taken)
