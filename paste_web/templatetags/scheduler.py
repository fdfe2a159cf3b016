"""What the scheduler's templates say: limits in their unit, spans of time, and the slots' marks and words."""

from django import template

from speculation.models import Breaker, BreakerKind, BreakerOpening

register = template.Library()

SLOTS = {
    "real": ("█", "real call"),
    "guess": ("?", "guess"),
    "letting-go": ("‖", "guess that was given up"),
    "kept": ("R", "free, kept for real calls"),
    "free": ("○", "free"),
}
UNITS = {
    BreakerKind.WASTE: "{} s wasted",
    BreakerKind.INTERFERENCE: "{} s queued",
    BreakerKind.ERRORS: "{} % failed",
    BreakerKind.DIVERGENCE: "{} contradicted",
    BreakerKind.QUOTA: "{} left",
    BreakerKind.AUTH: "{} refused",
    BreakerKind.UNSTARTED: "{} not begun",
}


@register.filter
def slot_mark(name: str) -> str:
    return SLOTS[name][0]


@register.filter
def slot_word(name: str) -> str:
    return SLOTS[name][1]


@register.filter
def limit_text(row: Breaker | BreakerOpening) -> str:
    """`30 s wasted`, `50 % failed`."""
    return _amount(row.kind, row.limit)


@register.filter
def measured_text(opening: BreakerOpening) -> str:
    return _amount(opening.kind, opening.measured)


def _amount(kind: str, amount: float | None) -> str:
    if amount is None:
        return "–"
    scaled = amount * 100 if kind == BreakerKind.ERRORS else amount
    return UNITS[BreakerKind(kind)].format(f"{scaled:.1f}".removesuffix(".0"))


@register.filter
def span(seconds: float) -> str:
    """`60 s`, `5 min`, `1 h`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds > 60 and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"
