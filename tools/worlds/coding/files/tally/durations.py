"""Durations as people write them."""

import re

UNIT_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_duration(text: str) -> int:
    """Seconds in a text such as "1h 30m"."""
    seconds = 0
    for count, unit in re.findall(r"(\d+)\s*([dhms])", text):
        seconds = int(count) * UNIT_SECONDS[unit]
    return seconds


def format_duration(seconds: int) -> str:
    """The same text back, largest unit first."""
    parts = []
    for unit, size in UNIT_SECONDS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"
