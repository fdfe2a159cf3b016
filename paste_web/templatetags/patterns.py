"""What the pattern pages say: a mapping's best sources, and calls as far as the reader may see them."""

from collections.abc import Sequence

from django import template

from paste_web.mapping_arrows import Arrows, arrows, without_values
from paste_web.plain_text import reveal
from speculation.models import PatternRecord
from speculation.pattern_history import Example
from speculation.pattern_trial import Moved
from speculation.staleness import Mapped
from speculation.timeline import call_text

register = template.Library()


@register.filter
def pattern_name(record: PatternRecord) -> str:
    """`user › get_user:ok → get_order`, with what is invisible written out."""
    return reveal(f"{' › '.join(record.context) or 'any start'} → {record.tool or 'the answer'}")


@register.filter
def first_arrows(mapping: Mapped) -> Sequence[Arrows]:
    return arrows(mapping, most=1)


@register.filter
def source_words(text: str, show_payloads: bool) -> str:
    """A source as the reader may see it."""
    return reveal(text if show_payloads else without_values(text))


@register.filter
def call_of(example: Example, show_payloads: bool) -> str:
    return call_text(example.tool, example.arguments, show_payloads)


@register.filter
def guess_of(moved: Moved, show_payloads: bool) -> str:
    return call_text(moved.call.tool, moved.call.arguments, show_payloads)
