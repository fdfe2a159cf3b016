"""Everything the API refuses, in one shape: application/problem+json (RFC 9457), also what the framework refuses."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse

CONTENT_TYPE = "application/problem+json"
TYPE_ROOT = "/api/problems/"


class Kind(NamedTuple):
    status: int
    title: str
    advice: str


KINDS: Mapping[str, Kind] = {
    "malformed_json": Kind(400, "Malformed JSON", "The body is not one JSON value in UTF-8. Fix it and send it again."),
    "bad_request": Kind(
        400, "Bad request", "The request is not valid HTTP for this server, e.g. an unknown host name."
    ),
    "missing_key": Kind(401, "Missing key", "Send the header `Authorization: Bearer <key>`."),
    "invalid_key": Kind(401, "Invalid key", "The key does not exist, has expired or was revoked. Ask for a new one."),
    "missing_scope": Kind(403, "Missing scope", "The key is valid but may not do this. Use a key that has the scope."),
    "not_found": Kind(404, "Not found", "No such address or task, or a task of another key."),
    "method_not_allowed": Kind(405, "Method not allowed", "The header Allow names the methods of this address."),
    "idempotency_in_progress": Kind(
        409, "First request still being stored", "Send the same request again after the seconds in Retry-After."
    ),
    "body_too_large": Kind(413, "Body too large", "A body may have up to 256 KiB."),
    "not_json": Kind(415, "Not JSON", "Send `Content-Type: application/json`."),
    "invalid_fields": Kind(422, "Invalid fields", "`errors` names each field or parameter and what is wrong with it."),
    "unknown_agent": Kind(422, "Unknown agent", "`detail` lists the agents there are."),
    "foreign_origin": Kind(
        403, "Foreign origin", "Another site's page sent this. Set PASTE_TRUSTED_ORIGINS if it is one of yours."
    ),
    "unknown_scripted_task": Kind(
        422, "Unknown scripted task", "A scripted agent only does its own tasks: see `tasks`."
    ),
    "idempotency_key_reused": Kind(
        422, "Idempotency key reused", "The key came with another body before. Use a new key."
    ),
    "rate_limited": Kind(429, "Rate limited", "Too many tasks of this key in a minute. Wait as Retry-After says."),
    "queue_full": Kind(429, "Queue full", "Too many tasks wait. Nothing was stored; wait as Retry-After says."),
    "internal_error": Kind(500, "Internal error", "A fault of ours. The log has the details under `request_id`."),
    "not_stored": Kind(503, "Not stored", "The database is away. Nothing was stored; wait as Retry-After says."),
}

CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "not_json"}
"""For answers that the framework made by itself. Other 4xx become bad_request, other 5xx internal_error."""


class FieldError(NamedTuple):
    """One thing wrong. `place`: "pointer" (into the body), "parameter" (query) or "header"."""

    place: str
    name: str
    detail: str

    def to_json(self) -> dict[str, str]:
        return {self.place: self.name, "detail": self.detail}


class Problem(Exception):
    """A refusal. `code` is one of KINDS; `extra` are further members of the document."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after_seconds: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.code = code
        self.kind = KINDS[code]
        self.detail = detail or self.kind.advice
        self.errors = errors
        self.retry_after_seconds = retry_after_seconds
        self.extra = extra or {}
        super().__init__(self.detail)


def document_of(problem: Problem, request_id: str) -> dict[str, Any]:
    return {
        "type": TYPE_ROOT + problem.code.replace("_", "-"),
        "title": problem.kind.title,
        "status": problem.kind.status,
        "code": problem.code,
        "request_id": request_id,
        "detail": problem.detail,
        "errors": [error.to_json() for error in problem.errors],
        **problem.extra,
    }


def headers_of(problem: Problem) -> dict[str, str]:
    """Those that belong to its status."""
    headers = {"Content-Type": CONTENT_TYPE}
    if problem.kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retry_after_seconds is not None:
        headers["Retry-After"] = str(problem.retry_after_seconds)
    return headers


def respond(request: HttpRequest, problem: Problem) -> HttpResponse:
    document = document_of(problem, getattr(request, "request_id", ""))
    return HttpResponse(json.dumps(document), status=problem.kind.status, headers=headers_of(problem))


def from_status(status: int) -> Problem:
    """The problem for a bare error response of the framework."""
    default = "internal_error" if status >= 500 else "bad_request"
    return Problem(CODE_OF_STATUS.get(status, default))
