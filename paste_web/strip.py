"""The two bars as boxes in percent of one axis, for a template that writes plain SVG attributes."""

from collections.abc import Sequence
from dataclasses import dataclass

from paste_web.wording import duration
from speculation.strip import Segment, Strip

FITS_PERCENT = 4.5
FITS_ANYWHERE_PERCENT = 14
"""From here on a label fits even on a telephone."""
FILLED_SHARE = 0.88
"""The rest of the axis is free for the totals."""


@dataclass(frozen=True)
class Box:
    """`x` and `width` as SVG lengths in percent; `label` only where it fits."""

    kind: str
    x: str
    width: str
    middle: str
    label: str
    is_wide: bool = True


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
    notes: Sequence[str] = ()
    """What else is to be said under the bars."""


def strip_boxes(strip: Strip, *, axis_seconds: float | None = None, name: str = "") -> StripBoxes:
    """Boxes on an axis from 0 to `axis_seconds`, which the chart below shares.

    Where several strips share one: its length, and by which name this one's measured bar goes.
    """
    axis = (axis_seconds or strip.axis_seconds) / FILLED_SHARE
    so_far = " so far" if strip.is_live else ""
    saved = strip.without_seconds - strip.actual_seconds
    rows = [_row(name or ("With speculation" if strip.without else "This session"), strip.actual, strip.actual_seconds, axis, so_far)]
    sentence = f"The session took {duration(strip.actual_seconds)}{so_far}."
    if strip.without:
        rows.insert(0, _row("without, estimated" if name else "Without speculation", strip.without, strip.without_seconds, axis, so_far))
        sentence = (
            f"{duration(strip.actual_seconds)} with speculation{so_far}, about {duration(strip.without_seconds)} without: "
            f"{duration(abs(saved))} {'saved' if saved >= 0 else 'lost'}."
        )
    elif strip.would_hide_seconds > 0:
        sentence += f" Speculation would have hidden {duration(strip.would_hide_seconds)} (shadow)."
    return StripBoxes(
        rows=rows,
        gain=_gain(strip, saved, axis) if strip.without else None,
        sentence=sentence,
        axis_seconds=axis,
        pair_at="" if strip.pair_seconds is None else _percent(strip.pair_seconds, axis),
        pair_text="" if strip.pair_seconds is None else f"pair took {duration(strip.pair_seconds)}",
        notes=_notes(strip),
    )


def _notes(strip: Strip) -> list[str]:
    notes = []
    if not strip.without and strip.would_hide_seconds > 0:
        notes.append(f"would have hidden {duration(strip.would_hide_seconds)} (shadow)")
    if strip.turns_a_block > 1:
        notes.append(f"each block stands for {strip.turns_a_block} turns")
    return notes


def _row(name: str, segments: Sequence[Segment], seconds: float, axis: float, so_far: str) -> Row:
    return Row(name, [_box(s.kind, s.start, s.end, axis) for s in segments if s.seconds > 0], _percent(seconds, axis), duration(seconds) + so_far)


def _box(kind: str, start: float, end: float, axis: float) -> Box:
    width = (end - start) / axis * 100
    label = f"{end - start:.1f}" if kind == "waits" and width >= FITS_PERCENT else ""
    middle = _percent((start + end) / 2, axis)
    return Box(kind, _percent(start, axis), _percent(end - start, axis), middle, label, width >= FITS_ANYWHERE_PERCENT)


def _gain(strip: Strip, saved: float, axis: float) -> Box | None:
    """What lies between the two ends."""
    if abs(saved) < 0.001:
        return None
    low, high = sorted((strip.actual_seconds, strip.without_seconds))
    label = f"{duration(abs(saved))} {'saved' if saved > 0 else 'lost'}"
    kind = "saved" if saved > 0 else "lost"
    width = (high - low) / axis * 100
    middle = _percent((low + high) / 2, axis)
    shown = label if width >= 2 * FITS_PERCENT else ""
    return Box(kind, _percent(low, axis), _percent(high - low, axis), middle, shown, width >= 2 * FITS_ANYWHERE_PERCENT)


def _percent(seconds: float, axis: float) -> str:
    return f"{max(seconds, 0.0) / axis * 100:.3f}%"
