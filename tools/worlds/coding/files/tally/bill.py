"""A bill shared by several people."""

from tally.money import format_cents, split_evenly


def bill_lines(cents: int, names: list[str]) -> list[str]:
    """One line a person."""
    return [f"{name}: {format_cents(share)}" for name, share in zip(names, split_evenly(cents, len(names)))]
