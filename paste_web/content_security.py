"""What a page may load and run: our own files and nothing else. The admin's theme needs more, and only it gets more."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

OF_THE_EMPTY_STRING = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""Plotly adds one empty <style> element and fills it by script; without this hash its charts lose their layout."""

BASE = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
PAGES = f"{BASE}; script-src 'self'; style-src 'self' {OF_THE_EMPTY_STRING}"
ADMIN = f"{BASE}; script-src 'self' 'unsafe-eval' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"


def content_security_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: set the policy, unless the view set its own."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", ADMIN if request.path.startswith("/admin/") else PAGES)
        return response

    return respond
