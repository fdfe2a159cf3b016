"""The waterfall of the savings page as boxes in percent: without speculation - saved + interference = actual. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from speculation.totals import Totals


@dataclass(frozen=True)
class Step:
    """`x`, `width`: percent of the axis. `kind`: its class. `sign`: how it enters the sum."""

    name: str
    kind: str
    sign: str
    seconds: float
    x: str
    width: str
    note: str = ""


def waterfall(totals: Totals) -> Sequence[Step]:
    """Four steps that add up exactly; a step that goes up from the left end of what it lengthens."""
    without, actual = totals.without_seconds, totals.task_seconds
    axis = max(without, actual, without - totals.saved_seconds + totals.interference_seconds, 1e-9)
    kept = without - totals.saved_seconds
    return [
        _step("Without speculation", "decode", "", without, 0.0, without, axis, "estimated"),
        _step("saved", "used", "−", totals.saved_seconds, kept, without, axis, "estimated"),
        _step(
            "interference",
            "negative",
            "+",
            totals.interference_seconds,
            kept,
            actual,
            axis,
            "estimated, never flattering",
        ),
        _step("Actual", "authoritative", "=", actual, 0.0, actual, axis, "measured"),
    ]


def _step(name: str, kind: str, sign: str, seconds: float, start: float, end: float, axis: float, note: str) -> Step:
    low, high = max(0.0, min(start, end)), max(start, end, 0.0)
    return Step(name, kind, sign, seconds, f"{100 * low / axis:.3f}%", f"{100 * (high - low) / axis:.3f}%", note)
