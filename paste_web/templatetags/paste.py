"""What every template needs: navigation, the chosen theme, and figures written one way everywhere."""

from collections.abc import Iterator
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString, mark_safe

from paste_web.plain_text import reveal
from paste_web.theme import THEMES, chosen_theme
from paste_web.wording import duration, percent
from speculation import queries

register = template.Library()

PAGES = [
    ("Overview", "overview"),
    ("Sessions", "sessions"),
    ("Tools", "tools"),
    ("Patterns", "patterns"),
    ("Savings", "savings"),
    ("Scheduler", "scheduler"),
    ("Connect", "connect"),
]
MENU = [("Audit", "audit"), ("API", "api-docs"), ("Admin", "admin:index")]

register.filter("duration", duration)
register.filter("percent", percent)
register.filter("reveal", reveal)


@register.simple_tag(takes_context=True)
def theme_attribute(context: dict[str, Any]) -> SafeString:
    """` data-theme="dark"` where the user chose one; nothing where the system decides."""
    theme = chosen_theme(context.get("request"))
    return mark_safe("" if theme == "system" else f' data-theme="{theme}"')


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The request's query string with these parameters set: links that keep the filters."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        parameters[name] = value
    return parameters.urlencode()


@register.inclusion_tag("navigation.html", takes_context=True)
def navigation(context: dict[str, Any]) -> dict[str, Any]:
    request = context.get("request")
    user = getattr(request, "user", None)
    known = user is not None and user.is_authenticated
    menu = MENU if known and user.is_staff else [link for link in MENU if link[1] != "admin:index"]
    return {
        "request": request,
        "user": user,
        "links": list(_links(PAGES, request)) if known else [],
        "menu": list(_links(menu, request)) if known else [],
        "themes": THEMES,
        "theme": chosen_theme(request),
        "paused": queries.pause_reason() if known else "",
        "csrf_token": context.get("csrf_token"),
    }


def _links(pages: list[tuple[str, str]], request: HttpRequest | None) -> Iterator[dict[str, Any]]:
    """Only pages that are routed: a link to a page that does not exist yet is a lie."""
    path = request.path if request else ""
    for label, name in pages:
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        yield {"label": label, "url": url, "is_current": path.startswith(url) if url != "/" else path == "/"}
