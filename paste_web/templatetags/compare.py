"""What the comparison's templates need: both sides of a turn, signed differences, ids of what is drawn twice."""

from django import template

from paste_web.comparison import signed
from speculation.comparing import TurnPair
from speculation.figures import TurnFigures

register = template.Library()
register.filter("signed", signed)


@register.filter
def both(pair: TurnPair) -> tuple[TurnFigures | None, TurnFigures | None]:
    return pair.first, pair.second


@register.filter
def figure_id(number: int) -> str:
    return f"figure-{number}"


@register.filter
def sentence_id(number: int) -> str:
    return f"sentence-{number}"
