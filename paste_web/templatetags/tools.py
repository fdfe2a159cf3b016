"""What the tools' templates say: JSON in a line, whole numbers in thousands, limits, links without one filter."""

import json
from typing import Any

from django import template
from django.utils import timezone

from paste_web.templatetags.scheduler import limit_text, span
from speculation.decisions import has_expired
from speculation.engine.breaking import Limits
from speculation.models import Approval, Breaker, BreakerKind

register = template.Library()


@register.filter
def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@register.filter
def thousands(number: int) -> str:
    """`1,240`"""
    return f"{number:,}"


@register.filter
def has_ended(approval: Approval) -> bool:
    return has_expired(approval, timezone.now())


@register.filter
def limit_of(limits: Limits, kind: BreakerKind) -> str:
    """`30 s wasted in 60 s`"""
    return f"{limit_text(Breaker(kind=kind, limit=limits.limit))} in {span(limits.window_seconds)}"


@register.simple_tag(takes_context=True)
def without(context: dict[str, Any], name: str) -> str:
    """The request's query string without this filter, from the first page on."""
    parameters = context["request"].GET.copy()
    for dropped in (name, "page"):
        parameters.pop(dropped, None)
    return parameters.urlencode()
