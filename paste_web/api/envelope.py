"""Middleware round the API alone: an id for each request, a bound for each body, one shape for each refusal.

It stands outside of all other middleware, so that also what the framework refuses by itself (an unknown host, an unknown
address, a method, its own failure) leaves as a problem document.
"""

from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from paste_web.api.problems import CONTENT_TYPE, Problem, from_status, respond

LARGEST_BODY_BYTES = 256 * 1024
API_ROOT = "/api/v1/"


class ApiEnvelope:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(API_ROOT):
            return self.get_response(request)
        request.request_id = uuid4().hex
        response = _too_large(request) or self.get_response(request)
        if response.status_code >= 400 and not response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            response = _translate(request, response)
        response["X-Request-Id"] = request.request_id
        response["Cache-Control"] = "no-store"
        return response


def _too_large(request: HttpRequest) -> HttpResponse | None:
    """Refuse a large body by what it says of itself, and one that says nothing by what it turns out to be."""
    try:
        declared_bytes = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return respond(request, Problem("bad_request", "Content-Length is not a number."))
    if declared_bytes > LARGEST_BODY_BYTES:
        return respond(request, Problem("body_too_large"))
    if declared_bytes == 0 and request.method not in ("GET", "HEAD"):
        request._body = request.read(LARGEST_BODY_BYTES + 1)  # where request.body looks first
        if len(request._body) > LARGEST_BODY_BYTES:
            return respond(request, Problem("body_too_large"))
    return None


def _translate(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    translated = respond(request, from_status(response.status_code))
    if "Allow" in response:
        translated["Allow"] = response["Allow"]
    return translated
