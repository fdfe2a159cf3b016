"""Every page there is, each once: what pictures, browser tests and timings go through. A new page is one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from paste_web.picturing.filled import Filled
from paste_web.picturing.scarce import Scarce

House = Filled | Scarce
Arguments = Callable[[House], Mapping[str, Any]]


def _none(house: House) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Look:
    """One view of one page. `name`: its file's. `route`: as in urls.py. `arguments`, `query`: of its address.

    `is_anonymous`: for whoever has not signed in. `drawn`: what is there once scripts have drawn it, as a selector.
    """

    name: str
    route: str
    arguments: Arguments = _none
    query: Arguments = _none
    is_anonymous: bool = False
    drawn: str = "body"
    status: int = 200

    @property
    def needs_one(self) -> bool:
        """True for the page of one thing, which is not there before that is."""
        return self.arguments is not _none

    def address(self, house: House) -> str:
        """Path and query."""
        given = self.query(house)
        query = "&".join(f"{name}={value}" for name, value in given.items())
        return reverse(self.route, kwargs=dict(self.arguments(house))) + (f"?{query}" if query else "")


def _session(word: str) -> Arguments:
    return lambda house: {"session_id": house.sessions[word].pk}


def _tool(name: str) -> Arguments:
    def arguments(house: House) -> Mapping[str, Any]:
        tool = house.tools[name]
        return {"server": tool.server, "name": tool.name}

    return arguments


def _pattern(house: House) -> Mapping[str, Any]:
    return {"pattern_id": house.pattern.pk}


def _pair(house: House) -> Mapping[str, Any]:
    return {"a": house.sessions["off"].pk, "b": house.sessions["on"].pk}


EVERYWHERE = (
    Look("overview", "overview"),
    Look("sessions", "sessions"),
    Look("session", "session", _session("on")),
    Look("compare", "compare"),
    Look("tools", "tools"),
    Look("tool", "tool", _tool("get_record")),
    Look("patterns", "patterns"),
    Look("pattern", "pattern", _pattern),
    Look("savings", "savings"),
    Look("scheduler", "scheduler"),
    Look("audit", "audit"),
    Look("connect", "connect"),
    Look("api-docs", "api-docs", drawn=".opblock"),
    Look("api-problems", "api-problems"),
    Look("login", "login", is_anonymous=True),
    Look("admin", "admin:index"),
)
"""Pages that an empty installation has, too."""
FILLED = (
    Look("session-call", "session", _session("on"), lambda house: {"call": "2.0", "tab": "calls"}),
    Look("session-turns", "session", _session("on"), lambda house: {"tab": "turns"}),
    Look("session-predictions", "session", _session("on"), lambda house: {"tab": "predictions"}),
    Look("session-running", "session", _session("running research")),
    Look("session-holdout", "session", _session("holdout")),
    Look("session-failed", "session", _session("failed")),
    Look("sessions-narrowed", "sessions", query=lambda house: {"agent": "support", "status": "succeeded"}),
    Look("sessions-no-match", "sessions", query=lambda house: {"q": "nothing like it"}),
    Look("compare-pair", "compare", query=_pair),
    Look("tool-shadow", "tool", _tool("fetch_page")),
    Look("tool-unreviewed", "tool", _tool("list_records")),
    Look("tool-changed", "tool", _tool("list_invoices")),
    Look("tool-breaker", "tool", _tool("get_invoice")),
    Look("tool-never", "tool", _tool("query_table")),
    Look("tool-writes", "tool", _tool("edit_file")),
    Look("tool-transformed", "tool", _tool("update_record")),
    Look("pattern-stale", "pattern", lambda house: {"pattern_id": house.stale_pattern.pk}),
    Look("patterns-stale", "patterns", query=lambda house: {"stale": "1"}),
    Look("audit-entry", "audit", query=lambda house: {"q": "list_invoices"}),
    Look("tool-unknown", "tool", _tool("run_command")),
)
"""Further views that need something to show."""
