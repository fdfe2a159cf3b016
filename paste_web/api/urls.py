"""The API, its document, and the pages about it."""

import json
import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from paste_web.api.problems import CONTENT_TYPE, KINDS, FieldError, Problem, from_status, respond
from paste_web.api.tasks import router

logger = logging.getLogger(__name__)

PLACES = {"query": "parameter", "path": "parameter", "header": "header"}


class StrictParser(Parser):
    """One JSON value in UTF-8, and nothing that JSON does not have."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise Problem("not_json")
        try:
            return json.loads(request.body.decode("utf-8"), parse_constant=_refuse_constant)
        except json.JSONDecodeError as problem:
            detail = f"{problem.msg} at line {problem.lineno}, column {problem.colno}."
            raise Problem("malformed_json", detail) from problem
        except RecursionError as problem:
            raise Problem("malformed_json", "The body is nested too deeply.") from problem
        except ValueError as problem:  # not UTF-8, NaN, or a number of thousands of digits
            raise Problem("malformed_json") from problem


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class DocumentedApi(NinjaAPI):
    """Says in its document that refusals are problem documents, which the library has no word for."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, response in operation["responses"].items():
                    if status >= 400:
                        response["content"] = {CONTENT_TYPE: response["content"]["application/json"]}
        return schema


api = DocumentedApi(
    title="PASTE",
    version="1",
    urls_namespace="api-1",
    description="Submit tasks to agents and watch them. Every refusal is an application/problem+json document.",
    docs_url=None,
    parser=StrictParser(),
)
api.add_router("", router)


@api.exception_handler(Problem)
def refuse(request: HttpRequest, problem: Problem) -> HttpResponse:
    return respond(request, problem)


@api.exception_handler(HttpError)
def refuse_as_framework(request: HttpRequest, error: HttpError) -> HttpResponse:
    """What the parser refused comes wrapped."""
    cause = error.__cause__
    return respond(request, cause if isinstance(cause, Problem) else from_status(error.status_code))


@api.exception_handler(ValidationError)
def refuse_fields(request: HttpRequest, invalid: ValidationError) -> HttpResponse:
    if any(error["loc"] == ("body", "body") and error["type"] == "missing" for error in invalid.errors):
        return respond(request, Problem("malformed_json", "The body is empty."))
    return respond(request, Problem("invalid_fields", errors=[_field_error(error) for error in invalid.errors]))


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def say_not_stored(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.warning("request %s: the database is away (%s)", request.request_id, type(error).__name__)
    return respond(request, Problem("not_stored", retry_after_seconds=5))


@api.exception_handler(Exception)
def say_internal(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("request %s failed", request.request_id, exc_info=error)
    return respond(request, Problem("internal_error"))


def _field_error(error: dict[str, Any]) -> FieldError:
    source, *rest = error["loc"]
    detail = "unknown field" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    if source == "body":
        steps = [str(step).replace("~", "~0").replace("/", "~1") for step in rest[1:]]
        return FieldError("pointer", "".join(f"/{step}" for step in steps), detail)
    names = [step for step in rest if isinstance(step, str)]
    return FieldError(PLACES.get(source, "parameter"), names[-1] if names else "", detail)


def docs(request: HttpRequest) -> HttpResponse:
    """The API's document to read and try, from our own files."""
    return render(request, "api/docs.html")


def problems(request: HttpRequest, slug: str = "") -> HttpResponse:
    """What each refusal means: where the `type` of a problem leads."""
    kinds = [{"code": code, "slug": code.replace("_", "-"), "kind": kind} for code, kind in KINDS.items()]
    chosen = [kind for kind in kinds if kind["slug"] == slug]
    status = 404 if slug and not chosen else 200
    return render(request, "api/problems.html", {"kinds": chosen or kinds, "slug": slug}, status=status)


urlpatterns = [
    path("v1/", api.urls),
    path("docs", docs, name="api-docs"),
    path("problems/", problems, name="api-problems"),
    path("problems/<slug:slug>", problems, name="api-problem"),
]
