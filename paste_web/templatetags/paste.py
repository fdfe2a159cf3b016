"""What every template needs: navigation, the chosen theme, and figures written one way everywhere."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import template
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from paste_web.needs import waiting_for_a_decision
from paste_web.plain_text import reveal
from paste_web.theme import THEMES, chosen_theme
from paste_web.wording import duration, money, percent

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
register.filter("money", money)
register.filter("reveal", reveal)


@register.simple_tag(takes_context=True)
def theme_attribute(context: dict[str, Any]) -> SafeString:
    """` data-theme="dark"` where the user chose one; nothing where the system decides."""
    theme = chosen_theme(context.get("request"))
    return mark_safe("" if theme == "system" else f' data-theme="{theme}"')


@register.filter
def breakable(name: str) -> SafeString:
    """A name that a narrow column breaks after an underscore rather than anywhere."""
    return format_html_join(mark_safe("_<wbr>"), "{}", ((part,) for part in name.split("_")))


@register.filter
def with_code(text: str) -> SafeString:
    """What stands between backticks, as code."""
    parts = enumerate(text.split("`"))
    return format_html_join("", "{}", ((format_html("<code>{}</code>", part) if number % 2 else part,) for number, part in parts))


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
    menu = [link for link in MENU if known and _may_open(user, link[1])]
    return {
        "request": request,
        "user": user,
        "links": list(_links(PAGES, request, {"tools": waiting_for_a_decision()})) if known else [],
        "menu": list(_links(menu, request, {})),
        "themes": THEMES,
        "theme": chosen_theme(request),
        "csrf_token": context.get("csrf_token"),
    }


def _may_open(user: AbstractBaseUser, name: str) -> bool:
    """Whether a link of the menu leads this user anywhere."""
    if name == "admin:index":
        return bool(user.is_staff)
    return name != "audit" or user.has_perm("speculation.view_auditentry")


def _links(
    pages: list[tuple[str, str]], request: HttpRequest | None, counts: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """`counts`: what waits on a page, by its name."""
    path = request.path if request else ""
    for label, name in pages:
        url = reverse(name)
        is_current = path.startswith(url) if url != "/" else path == "/"
        yield {"label": label, "url": url, "is_current": is_current, "count": counts.get(name, 0)}
