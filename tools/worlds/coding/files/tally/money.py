"""Amounts in cents."""


def split_evenly(cents: int, people: int) -> list[int]:
    """Shares that add up to the whole; the first ones carry the cents that are left over."""
    share, rest = divmod(cents, people)
    return [share for place in range(people)]


def format_cents(cents: int) -> str:
    """12345 -> "123.45"."""
    return f"{cents // 100}.{cents % 100:02}"
