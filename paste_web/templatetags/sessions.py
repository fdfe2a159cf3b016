"""What templates say about sessions: words and signs for states, and the small strip of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from paste_web.strip import Box, strip_boxes
from paste_web.table_rows import row_html
from paste_web.wording import duration, money, percent, seconds
from speculation.figures import Figures
from speculation.models import Arm, Session
from speculation.prices import as_text
from speculation.queries import Told
from speculation.strip import draw_strip
from speculation.timeline import call_text

register = template.Library()
register.filter("seconds", seconds)
register.simple_tag(row_html)

SIGNS = {"queued": "○", "running": "●", "succeeded": "✓", "failed": "!", "cancelled": "⊘"}
CLASSES = {"running": "gain", "failed": "negative", "cancelled": "warn"}
ARM_WORDS = {Arm.ON: "", Arm.OFF: "without", Arm.SHADOW: "shadow", Arm.HOLDOUT: "holdout"}
LEAST_DIFFERENCE_SECONDS = 0.1


@register.filter
def state_sign(session: Session) -> str:
    return SIGNS[session.status]


@register.filter
def state_class(session: Session) -> str:
    return CLASSES.get(session.status, "")


@register.filter
def arm_word(session: Session) -> str:
    return ARM_WORDS[Arm(session.arm)]


@register.simple_tag
def figure(figures: Figures, name: str) -> SafeString:
    """`<data class="net_saved_seconds" value="5.213">5.2 s</data>`: short for people, to the millisecond for programs."""
    exact = getattr(figures, name)
    return format_html('<data class="{}" value="{}">{}</data>', name, f"{exact + 0.0:.3f}", duration(exact))


@register.simple_tag
def money_figure(figures: Figures, name: str) -> SafeString:
    """`<data class="wasted_price" value="0.0125">0.0125 USD</data>`, exact for both."""
    amount = getattr(figures, name)
    return format_html('<data class="{}" value="{}">{}</data>', name, as_text(amount), money(amount))


@register.filter
def saved_share(figures: Figures) -> str:
    """Net saved as a share of what the session would have taken."""
    without = figures.without_speculation_seconds
    return percent(figures.net_saved_seconds / without if without else 0.0)


@register.filter
def waste_reasons(figures: Figures) -> str:
    """`miss 4.4 s, preempted 1.0 s`."""
    return ", ".join(f"{reason} {duration(spent)}" for reason, spent in figures.wasted_seconds_by_reason.items())


@register.filter
def hid_more_than_it_saved(figures: Figures) -> bool:
    return figures.hidden_seconds > figures.saved_seconds + LEAST_DIFFERENCE_SECONDS


@register.filter
def saved_more_than_it_hid(figures: Figures) -> bool:
    return figures.saved_seconds > figures.hidden_seconds + LEAST_DIFFERENCE_SECONDS


@register.filter
def mini_strip(told: Told) -> Sequence[Box]:
    return strip_boxes(draw_strip(told.story, told.figures)).rows[-1].boxes


@register.filter
def candidate_text(candidate: Mapping[str, Any], show_payloads: bool) -> str:
    return call_text(candidate.get("tool", ""), candidate.get("arguments") or {}, show_payloads)
