"""A comparison as its page shows it: sentence, figures in rows, and both sides drawn on one axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from paste_web.charts import timeline_figure
from paste_web.strip import FILLED_SHARE, StripBoxes, strip_boxes
from paste_web.wording import duration, money, percent
from speculation.comparing import Comparison, Side, compare
from speculation.figures import Figures
from speculation.models import Arm
from speculation.queries import Told
from speculation.strip import draw_strip
from speculation.timeline import draw

LEAST_DIFFERENCE_SECONDS = 0.05
NONE = "–"


@dataclass(frozen=True)
class FigureRow:
    """One figure on both sides, as text; `difference` is second minus first, empty where there is none to speak of."""

    name: str
    first: str
    second: str
    difference: str = ""
    note: str = ""


@dataclass(frozen=True)
class DrawnSide:
    """One session drawn: its two bars, and its timeline as Plotly's figure."""

    told: Told
    strip: StripBoxes
    figure: dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    comparison: Comparison
    sides: Sequence[DrawnSide]
    sentences: Sequence[str]
    rows: Sequence[FigureRow]

    @property
    def has_warm_ups(self) -> bool:
        return any(side.told.figures.warm_ups for side in self.sides)

    @property
    def is_live(self) -> bool:
        return any(not side.told.session.has_ended for side in self.sides)


def draw_comparison(first: Told, second: Told, *, show_payloads: bool) -> Drawn:
    """Both strips and both timelines have the axis of the longer one."""
    comparison = compare(_side(first), _side(second))
    strips = [draw_strip(told.story, told.figures) for told in (first, second)]
    axis = max(strip.axis_seconds for strip in strips)
    sides = [
        DrawnSide(
            told,
            strip_boxes(strip, axis_seconds=axis, name=_name(told)),
            _figure(told, axis / FILLED_SHARE, show_payloads),
        )
        for told, strip in zip((first, second), strips, strict=True)
    ]
    return Drawn(comparison, sides, sentences_of(comparison, first, second), figure_rows(first, second))


def _side(told: Told) -> Side:
    session = told.session
    return Side(session.short_id, session.agent.name, session.task, session.has_ended, told.figures)


def _name(told: Told) -> str:
    """`9f3c21ab, with`, beside its bar."""
    words = {Arm.ON: "with", Arm.OFF: "without", Arm.SHADOW: "shadow", Arm.HOLDOUT: "holdout"}
    return f"{told.session.short_id}, {words[Arm(told.session.arm)]}"


def _figure(told: Told, axis_seconds: float, show_payloads: bool) -> dict[str, Any]:
    timeline = draw(told.story, told.figures, now=told.now, show_payloads=show_payloads)
    return {**timeline_figure(timeline, revision=str(told.session.pk)), "axis": axis_seconds, "live": False}


def sentences_of(comparison: Comparison, first: Told, second: Told) -> list[str]:
    """What differs, in words: the times, where they come from, and whether both did the same."""
    sentences = [_times(comparison, first, second)]
    if abs(comparison.difference_seconds) >= LEAST_DIFFERENCE_SECONDS:
        sentences.append(
            f"In {second.session.short_id} the model took {_more(comparison.decode_difference_seconds)}, "
            f"and tools were waited for {_more(comparison.waited_difference_seconds)}."
        )
    sentences += [_same_calls(comparison), *_estimate(comparison, first, second)]
    return sentences


def _estimate(comparison: Comparison, first: Told, second: Told) -> list[str]:
    """What the session with speculation says it saved, beside what the two differ by; only where they can be compared."""
    arms = [told.session.arm == Arm.ON for told in (first, second)]
    if comparison.warnings or comparison.parted_at is not None or sum(arms) != 1:
        return []
    told = second if arms[1] else first
    measured = -comparison.difference_seconds if arms[1] else comparison.difference_seconds
    estimated = duration(told.figures.net_saved_seconds)
    return [
        f"Net saved: {estimated} as {told.session.short_id} estimates it, {duration(measured)} as measured between the two."
    ]


def _times(comparison: Comparison, first: Told, second: Told) -> str:
    named = [f"{told.session.short_id} ({told.session.get_arm_display()})" for told in (first, second)]
    took = [duration(told.figures.task_seconds) for told in (first, second)]
    difference, base = comparison.difference_seconds, comparison.first.figures.task_seconds
    if abs(difference) < LEAST_DIFFERENCE_SECONDS:
        return f"{named[1]} took {took[1]}, as long as {named[0]}."
    share = f" ({percent(abs(difference) / base)})" if base else ""
    word = "longer" if difference > 0 else "less"
    return f"{named[1]} took {took[1]}, {duration(abs(difference))}{share} {word} than {named[0]} with {took[0]}, measured."


def _more(seconds: float) -> str:
    if abs(seconds) < LEAST_DIFFERENCE_SECONDS:
        return "as long"
    return f"{duration(abs(seconds))} {'longer' if seconds > 0 else 'less'}"


def _same_calls(comparison: Comparison) -> str:
    parted_at = comparison.parted_at
    over = [pair for pair in comparison.turns if not pair.is_open]
    if parted_at is None and not over:
        return "No turn is over on both sides yet." if comparison.turns else "Neither has had a turn yet."
    if parted_at is None:
        so_far = " so far" if len(over) < len(comparison.turns) else ""
        return f"Both made the same calls in each of {len(over)} turn{'' if len(over) == 1 else 's'}{so_far}."
    return f"From turn {parted_at} on they made different calls, so not all of the difference is speculation's."


def figure_rows(first: Told, second: Told) -> list[FigureRow]:
    a, b = first.figures, second.figures
    arms = (first.session.arm, second.session.arm)
    return [
        _seconds_row("Took", a.task_seconds, b.task_seconds, "measured"),
        _seconds_row("Model", a.decode_seconds, b.decode_seconds),
        _seconds_row("Waited for tools", a.waited_seconds, b.waited_seconds, "on the critical path"),
        _seconds_row("Queued before the start", a.queued_seconds, b.queued_seconds),
        _of_speculation("Net saved", arms, a, b, lambda figures: duration(figures.net_saved_seconds), "estimated"),
        _of_speculation(
            "Would have taken without",
            arms,
            a,
            b,
            lambda figures: duration(figures.without_speculation_seconds),
            "estimated",
        ),
        _of_speculation(
            "Served early",
            arms,
            a,
            b,
            lambda figures: f"{figures.hits} of {figures.eligible_calls}",
            "of eligible calls",
        ),
        _of_speculation("Wasted", arms, a, b, lambda figures: duration(figures.wasted_seconds), "worker time"),
        *(
            [_of_speculation("Paid for nothing", arms, a, b, lambda figures: money(figures.wasted_price), "calls of wasted runs")]
            if a.wasted_price or b.wasted_price
            else []
        ),
        _of_speculation(
            "Slowed real work", arms, a, b, lambda figures: duration(figures.interference_seconds), "interference"
        ),
        FigureRow("Turns", str(len(a.turns)), str(len(b.turns)), _count(len(b.turns) - len(a.turns))),
        FigureRow("Calls", str(len(a.calls)), str(len(b.calls)), _count(len(b.calls) - len(a.calls))),
    ]


def _seconds_row(name: str, first: float, second: float, note: str = "") -> FigureRow:
    return FigureRow(name, duration(first), duration(second), signed(second - first), note)


def _of_speculation(name: str, arms: Sequence[str], first: Figures, second: Figures, text: Any, note: str) -> FigureRow:
    """Only a session with speculation has such a figure."""
    shown = [text(figures) if arm == Arm.ON else NONE for arm, figures in zip(arms, (first, second), strict=True)]
    return FigureRow(name, shown[0], shown[1], note=note)


def signed(seconds: float | None) -> str:
    """`+1.2 s`, `−1.2 s`; empty for less than can be told apart, and for None."""
    if seconds is None or abs(seconds) < 0.0005:
        return ""
    return f"{'+' if seconds > 0 else ''}{duration(seconds)}"


def _count(difference: int) -> str:
    return f"{difference:+d}".replace("-", "\N{MINUS SIGN}") if difference else ""
