"""Who is asking: the bearer key of a request, with the scope that the operation needs."""

from django.http import HttpRequest
from ninja.security.base import AuthBase

from paste_web.api.problems import Problem
from speculation.access import SCOPES, find_key, may
from speculation.models import ApiKey


class BearerKey(AuthBase):
    """Answers the ApiKey, or raises a Problem. The key's text goes nowhere: not into a log, not into an error."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> ApiKey:
        return key_of(request.headers.get("Authorization", ""), self.scope)


def key_of(authorization: str, scope: str) -> ApiKey:
    """The key that the header carries, if it may do what the scope says. Raises Problem."""
    scheme, _, text = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Problem("missing_key")
    key = find_key(text.strip())
    if key is None:
        raise Problem("invalid_key")
    if not may(key, scope):
        raise Problem("missing_scope", f"This needs the scope {scope}: {SCOPES[scope]}.")
    return key
