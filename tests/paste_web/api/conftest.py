"""An agent, keys with different scopes, and a client that speaks JSON to the API."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from speculation.access import READ, READ_ALL, WRITE, create_key
from speculation.models import AgentProfile, ApiKey


class Caller:
    """One program with one key."""

    def __init__(self, key: ApiKey | None, text: str) -> None:
        self.key, self.text = key, text
        self.client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"} if text else {})

    def get(self, path: str, **parameters: Any) -> HttpResponse:
        return self.client.get(f"/api/v1{path}", parameters)

    def post(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        options.setdefault("content_type", "application/json")
        return self.client.post(f"/api/v1{path}", raw, **options)

    def submit(
        self, agent: str = "writer", task: str = "Write a poem.", *, idempotency_key: str = "", **fields: Any
    ) -> HttpResponse:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self.post("/tasks", {"agent": agent, "task": task, **fields}, headers=headers)


@pytest.fixture
def agent(db: None) -> AgentProfile:
    return AgentProfile.objects.create(name="writer", model_kind="openai", model="small", mode="on")


@pytest.fixture
def call_with(db: None) -> Callable[..., Caller]:
    def make(*scopes: str) -> Caller:
        return Caller(*create_key("test", scopes, who="tester"))

    return make


@pytest.fixture
def caller(call_with: Callable[..., Caller], agent: AgentProfile) -> Caller:
    return call_with(WRITE, READ)


@pytest.fixture
def overseer(call_with: Callable[..., Caller]) -> Caller:
    return call_with(READ_ALL)


@pytest.fixture
def stranger(db: None) -> Caller:
    return Caller(None, "")
