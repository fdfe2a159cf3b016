"""The two bars as boxes in percent of one axis, for a template that writes plain SVG attributes."""

from collections.abc import Sequence
from dataclasses import dataclass

from paste_web.wording import duration
from speculation.strip import Segment, Strip

FITS_PERCENT = 4.5


@dataclass(frozen=True)
class Box:
    """`x` and `width` as SVG lengths in percent; `label` only where it fits."""

    kind: str
    x: str
    width: str
    middle: str
    label: str


@dataclass(frozen=True)
class Row:
    name: str
    boxes: Sequence[Box]
    end: str
    total: str


@dataclass(frozen=True)
class StripBoxes:
    """One or two rows, the difference between their ends, and one sentence that says it all."""

    rows: Sequence[Row]
    gain: Box | None
    sentence: str
    axis_seconds: float
    pair_at: str = ""
    pair_text: str = ""


def strip_boxes(strip: Strip) -> StripBoxes:
    """The axis keeps 12 % free on the right for the totals."""
    axis = strip.axis_seconds / 0.88
    so_far = " so far" if strip.is_live else ""
    saved = strip.without_seconds - strip.actual_seconds
    rows = [_row("With speculation" if strip.without else "This session", strip.actual, strip.actual_seconds, axis, so_far)]
    sentence = f"The session took {duration(strip.actual_seconds)}{so_far}."
    if strip.without:
        rows.insert(0, _row("Without speculation", strip.without, strip.without_seconds, axis, so_far))
        sentence = (
            f"{duration(strip.actual_seconds)} with speculation{so_far}, about {duration(strip.without_seconds)} without: "
            f"{duration(abs(saved))} {'saved' if saved >= 0 else 'lost'}."
        )
    return StripBoxes(
        rows=rows,
        gain=_gain(strip, saved, axis) if strip.without else None,
        sentence=sentence,
        axis_seconds=axis,
        pair_at="" if strip.pair_seconds is None else _percent(strip.pair_seconds, axis),
        pair_text="" if strip.pair_seconds is None else f"pair {duration(strip.pair_seconds)}, measured",
    )


def _row(name: str, segments: Sequence[Segment], seconds: float, axis: float, so_far: str) -> Row:
    return Row(name, [_box(s.kind, s.start, s.end, axis) for s in segments if s.seconds > 0], _percent(seconds, axis), duration(seconds) + so_far)


def _box(kind: str, start: float, end: float, axis: float) -> Box:
    fits = (end - start) / axis * 100 >= FITS_PERCENT
    label = f"{end - start:.1f}" if kind == "waits" and fits else ""
    return Box(kind, _percent(start, axis), _percent(end - start, axis), _percent((start + end) / 2, axis), label)


def _gain(strip: Strip, saved: float, axis: float) -> Box | None:
    """What lies between the two ends."""
    if abs(saved) < 0.001:
        return None
    low, high = sorted((strip.actual_seconds, strip.without_seconds))
    label = f"{duration(abs(saved))} {'saved' if saved > 0 else 'lost'}"
    kind = "saved" if saved > 0 else "lost"
    fits = (high - low) / axis * 100 >= 2 * FITS_PERCENT
    return Box(kind, _percent(low, axis), _percent(high - low, axis), _percent((low + high) / 2, axis), label if fits else "")


def _percent(seconds: float, axis: float) -> str:
    return f"{max(seconds, 0.0) / axis * 100:.3f}%"
