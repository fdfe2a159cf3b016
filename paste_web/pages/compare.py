"""Compare two sessions: bars and timelines on one axis, figures side by side, turn by turn, and what differs in words."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from paste_web.comparison import draw_comparison
from paste_web.redaction import may_read_payloads
from speculation import queries, session_search
from speculation.models import Session
from speculation.session_search import NotFound, find_session


@dataclass
class Choice:
    """What was asked for: texts as they were typed, the sessions they mean, and what is wrong with them, by field."""

    typed: dict[str, str]
    sessions: dict[str, Session] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def is_complete(self) -> bool:
        return {"a", "b"} <= self.sessions.keys() and not self.errors


@login_required
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    choice = _choice(request)
    chosen = next(iter(choice.sessions.values()), None)
    context: dict[str, Any] = {
        "choice": choice,
        "fields": _fields(choice),
        "offered": _offered(choice),
        "chosen": chosen,
    }
    if choice.is_complete:
        context["drawn"] = _drawn(choice, may_read_payloads(request.user))
    return render(request, "compare/page.html", context)


def _choice(request: HttpRequest) -> Choice:
    choice = Choice({name: request.GET.get(name, "").strip() for name in ("a", "b")})
    for name, text in choice.typed.items():
        if text:
            try:
                choice.sessions[name] = find_session(text)
            except NotFound as problem:
                choice.errors[name] = str(problem)
    _complete(choice)
    if choice.is_complete and choice.sessions["a"].pk == choice.sessions["b"].pk:
        choice.errors["b"] = "That is the same session. Choose another."
    return choice


def _complete(choice: Choice) -> None:
    """A session alone is compared with its pair, if it has one."""
    if len(choice.sessions) != 1 or choice.errors:
        return
    (given, session), *_ = choice.sessions.items()
    other = session_search.other_arm(session)
    if other is None:
        return
    missing = "b" if given == "a" else "a"
    choice.sessions[missing], choice.typed[missing] = other, other.short_id
    choice.note = f"{other.short_id} is the other arm of {session.short_id}: the same task, run as its pair."


def _fields(choice: Choice) -> list[dict[str, str]]:
    labels = {"a": "First session", "b": "Second session"}
    shown = {
        name: choice.sessions[name].short_id if name in choice.sessions else text for name, text in choice.typed.items()
    }
    return [
        {"name": name, "label": labels[name], "value": shown[name], "error": choice.errors.get(name, "")}
        for name in labels
    ]


def _offered(choice: Choice) -> Any:
    """Sessions to choose from: those with the same task, where one is chosen already."""
    if len(choice.sessions) == 1:
        (session,) = choice.sessions.values()
        return session_search.same_task(session) or session_search.newest_sessions()
    return session_search.newest_sessions()


def _drawn(choice: Choice, show_payloads: bool) -> Any:
    first, second = queries.tell_all([choice.sessions["a"], choice.sessions["b"]])
    return draw_comparison(first, second, show_payloads=show_payloads)
