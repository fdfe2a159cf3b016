"""Light, dark, or as the system has it: a cookie, so that the server writes the right page at once."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

THEMES = ("system", "light", "dark")
COOKIE = "paste_theme"
ONE_YEAR_SECONDS = 365 * 24 * 3600


def chosen_theme(request: HttpRequest | None) -> str:
    theme = request.COOKIES.get(COOKIE, "") if request else ""
    return theme if theme in THEMES else "system"


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Remember `theme` and go back to `next`, if that is one of our own pages."""
    next_url = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(next_url, allowed_hosts=None):
        next_url = "/"
    response = redirect(next_url)
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie(COOKIE, theme, max_age=ONE_YEAR_SECONDS, samesite="Lax", httponly=True)
    return response
