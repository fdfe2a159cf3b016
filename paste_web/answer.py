"""Is speculation helping? The first word and the sentence of the overview, by fixed rules. Pure."""

from dataclasses import dataclass

from paste_web.wording import duration, percent
from speculation.savings import Pairs
from speculation.totals import LEAST_SESSIONS_AN_ARM, Effect


@dataclass(frozen=True)
class Answer:
    """`tone`: a class of the stylesheet. `offers_pause`: the answer is no, so the way out stands beside it."""

    word: str
    sentence: str
    tone: str = ""
    offers_pause: bool = False


def answer(*, paused: str, learning: str, effect: Effect, pairs: Pairs) -> Answer:
    """`paused`: why nothing runs early now. `learning`: how far a demo's learning is. Both empty: neither."""
    if paused:
        return Answer("Paused.", f"{_sentence(paused)} {_measured(effect)}".strip(), "warn")
    if learning:
        return Answer("Learning.", f"{learning} Speculation starts when these have ended.")
    if effect.answer == "too early":
        return Answer("Too early.", _too_early(effect, pairs))
    if effect.answer == "yes":
        return Answer("Yes.", _measured(effect), "gain")
    if effect.answer == "no":
        return Answer("No.", _measured(effect), "negative", offers_pause=True)
    return Answer("Cannot tell.", f"{_measured(effect)} The interval includes no difference.")


def _sentence(text: str) -> str:
    first = text[:1].upper() + text[1:]
    return first if first.endswith(".") else f"{first}."


def _too_early(effect: Effect, pairs: Pairs) -> str:
    counts = (
        f"A measured answer needs {LEAST_SESSIONS_AN_ARM} sessions with speculation and {LEAST_SESSIONS_AN_ARM} of the "
        f"holdout: so far {_of_enough(effect.with_count)} with, {_of_enough(effect.without_count)} without."
    )
    if pairs.less is None:
        return counts
    side = "less" if pairs.less >= 0 else "more"
    return (
        f"{pairs.count} task{'' if pairs.count == 1 else 's'} ran both ways: {percent(abs(pairs.less))} {side} time with "
        f"speculation, on average {duration(pairs.with_seconds)} against {duration(pairs.without_seconds)}. {counts}"
    )


def _of_enough(count: int) -> str:
    return str(count) if count >= LEAST_SESSIONS_AN_ARM else f"{count} of {LEAST_SESSIONS_AN_ARM}"


def _measured(effect: Effect) -> str:
    """Medians, the difference and its interval; empty where there are too few sessions."""
    if not effect.is_enough or effect.less is None or effect.low is None or effect.high is None:
        return ""
    side = "less" if effect.less >= 0 else "more"
    return (
        f"Sessions with speculation took {percent(abs(effect.less))} {side} time: median "
        f"{duration(effect.with_median_seconds)} against {duration(effect.without_median_seconds)} "
        f"(measured; 95 % interval {percent(effect.low)} to {percent(effect.high)} less, "
        f"{effect.with_count} with, {effect.without_count} without)."
    )
