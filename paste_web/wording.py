"""Figures as people read them: 38 ms, 5.2 s, 4 min 02 s; a true minus; whole percent; 0.0025 USD."""

from decimal import Decimal

from django.conf import settings

MINUS = "\N{MINUS SIGN}"
NOTHING = "–"


def duration(seconds: float | None) -> str:
    """Text of a duration in seconds; "–" for None. Never "-0.0 s"."""
    if seconds is None:
        return NOTHING
    sign = MINUS if seconds < 0 else ""
    size = abs(seconds)
    if size < 0.0005:
        return "0.0 s"
    if size < 0.0995:
        return f"{sign}{size * 1000:.0f} ms"
    if size < 119.95:
        return f"{sign}{size:.1f} s"
    minutes, rest = divmod(round(size), 60)
    if minutes < 120:
        return f"{sign}{minutes} min {rest:02d} s"
    return f"{sign}{minutes // 60} h {minutes % 60:02d} min"


def percent(share: float | None) -> str:
    """Whole percent of a share in 0..1; "–" for None."""
    if share is None:
        return NOTHING
    whole = round(share * 100)
    return f"{MINUS if whole < 0 else ''}{abs(whole)} %"


def seconds(value: float | None) -> str:
    """Seconds in a table of them: two digits below 10, one above, so that columns align; "–" for None."""
    if value is None:
        return NOTHING
    text = f"{abs(value):.2f}" if abs(value) < 9.995 else f"{abs(value):.1f}"
    return f"{MINUS if value < 0 and float(text) else ''}{text} s"


def money(amount: Decimal) -> str:
    """An amount in the installation's currency: exact, with two decimals at least; 0 is plain."""
    if not amount:
        return f"0 {settings.PASTE_CURRENCY}"
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')} {settings.PASTE_CURRENCY}"
