"""Every address that the product answers, found by asking Django: an address that is added is among them by itself."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from speculation import breakers_opening, policy
from speculation.access import WRITE, create_key
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.models import Breaker, PatternRecord, ToolJob, ToolRecord, WorkerPool
from tests.paste_web.stored_sessions import an_agent, store
from tests.speculation.breaking import set_default_limits
from tests.speculation.written_log import WrittenLog, example

SECRET = "W2378156"
"""Stands in arguments and results of the house's session, and nowhere else."""

NOBODYS = UUID("0198f3c2-0000-7000-8000-000000000000")
DEFAULTS = {"int": 1, "uuid": NOBODYS, "str": "x", "slug": "x", "path": "x", "": "x"}
_ARGUMENT = re.compile(r"<(?:(\w+):)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


@dataclass(frozen=True)
class Address:
    """`name`: with its namespace, `admin:index`; empty for one without."""

    name: str
    path: str

    @property
    def is_of_the_admin(self) -> bool:
        return self.path.startswith("/admin/")

    @property
    def is_of_the_api(self) -> bool:
        return self.path.startswith("/api/v1/")


def every_address(arguments: Mapping[str, Any]) -> list[Address]:
    """`arguments`: what stands for an argument of this name; for others, something of its type."""
    return list(_walk(get_resolver().url_patterns, "/", "", arguments))


def _walk(patterns: Any, path: str, space: str, arguments: Mapping[str, Any]) -> Iterator[Address]:
    for one in patterns:
        here = path + filled(str(one.pattern), arguments)
        if isinstance(one, URLPattern):
            yield Address(f"{space}{one.name or ''}", here)
        else:
            yield from _walk(one.url_patterns, here, f"{space}{one.namespace}:" if one.namespace else space, arguments)


def filled(route: str, arguments: Mapping[str, Any]) -> str:
    """The route with something in the place of each argument."""

    def value(found: re.Match[str]) -> str:
        kind, name = found[1] or "", found[2] or found[3]
        return str(arguments.get(name, DEFAULTS[kind]))

    return _ARGUMENT.sub(value, route).removeprefix("^").removesuffix("$").replace("\\Z", "")


def a_house() -> dict[str, Any]:
    """Something of everything, so that each page has all its controls to show. Returns arguments of addresses."""
    set_default_limits()
    pool = WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 6, "reserved": 2, "is_paused": False})[
        0
    ]
    agent = an_agent("support")
    definition = {"name": "get_order", "description": "Reads an order.", "parameters": {"type": "object"}}
    tool = ToolRecord.objects.create(name="get_order", effect="none", definition_hash="a" * 64, definition=definition)
    agent.tools.add(tool)
    policy.decide(
        tool, "full", who="op1", why="it reads", expected_definition_hash="a" * 64, expected_policy_version=tool.policy_version
    )  # fmt: skip
    session = store(WrittenLog(example()[:-3]), task="Refund it.", agent=agent)
    store(example(), task="Refund that.", agent=agent)
    ToolJob.objects.create(
        session=session, tool=tool, pool=pool, effect="none", epoch=0, fingerprint="f", status="succeeded", attempt=1,
        arguments={"order": SECRET}, result={"content": SECRET}, error=SECRET, started_at=timezone.now(), ended_at=timezone.now(),
    )  # fmt: skip
    trip = Trip(Kind.WASTE, Subject(tool=tool.pk), 31.0, Limits(30, 60, 300), "wasted 31 worker seconds in a minute")
    opening = breakers_opening.open_breaker(trip)
    pattern = PatternRecord.objects.create(
        agent=agent, key="k", context=["get_user:ok"], tool="get_order", support=9, probability=0.8,
        mapping={"order": [["result(get_user).orders[0]", 8, 9]]},
    )  # fmt: skip
    key, _text = create_key("ci", [WRITE], who="op1")
    return {
        "session_id": session.pk,
        "pick": "2.0",
        "server": "builtin",
        "name": "get_order",
        "tool_id": tool.pk,
        "opening_id": opening.pk if opening else 0,
        "breaker_id": Breaker.objects.filter(tool=None)[0].pk,
        "pattern_id": pattern.pk,
        "key_id": key.pk,
        "app_label": "speculation",
    }


def body(answer: HttpResponse) -> str:
    """The text of an answer, also of one that is sent bit by bit."""
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return content.decode("utf-8", "replace")
