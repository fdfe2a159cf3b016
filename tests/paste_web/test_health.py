"""Alive, and able to work: two different questions."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from paste_web.pages import health

pytestmark = pytest.mark.django_db


def test_a_process_that_answers_is_alive(client: Client) -> None:
    assert client.get("/healthz").json() == {"ok": True}
    assert client.post("/healthz").status_code == 405


def test_without_workers_it_is_not_ready_and_says_so(client: Client, broker_url: str) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ok": False,
        "checks": {
            "database": "ok",
            "broker": "ok",
            "workers of agents": "none seen",
            "workers of tools": "none seen",
            "workers of guesses": "none seen",
        },
    }


def test_with_a_worker_on_each_queue_it_is_ready(
    client: Client, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_served_queues", lambda: {"agents", "tools", "guesses"})
    assert client.get("/readyz").status_code == 200


def test_without_workers_of_guesses_it_is_ready_and_says_so(
    client: Client, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_served_queues", lambda: {"agents", "tools"})
    answer = client.get("/readyz")
    assert answer.status_code == 200 and answer.json()["checks"]["workers of guesses"] == "none seen"


def test_a_failure_is_named_without_its_text(client: Client, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise OperationalError("no route to 10.0.0.1 with password hunter2")

    monkeypatch.setattr(health, "_ask_database", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["checks"]["database"] == "OperationalError"
    assert "hunter2" not in answer.content.decode()
