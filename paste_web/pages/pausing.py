"""Pause speculation, of all, one agent or one tool, and resume it: each with its own permission and a reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from paste_web.wording import duration
from speculation import breakers_pausing, policy
from speculation.breakers_open import open_now
from speculation.breakers_opening import reset
from speculation.endings import wait_for_end
from speculation.giving_up import GivenUp
from speculation.models import AgentProfile, BreakerKind, ModelKind, ToolRecord, WorkerPool
from speculation.verdicts import WRITING

PERMISSIONS = {
    "all": "speculation.change_workerpool",
    "agent": "speculation.change_agentprofile",
    "tool": "speculation.change_toolrecord",
}
"""Who may pause what, by the first word of what is chosen."""


@dataclass(frozen=True)
class Paused:
    """One thing that an operator paused. `value`: as the form names it; `may_resume`: whether this reader may."""

    label: str
    value: str
    reason: str
    may_resume: bool


class PauseForm(forms.Form):
    """What to pause: only what this user may."""

    what = forms.ChoiceField(label="Pause")
    why = forms.CharField(label="Reason", max_length=400)

    def __init__(self, *arguments: Any, user: AbstractBaseUser | AnonymousUser) -> None:
        super().__init__(*arguments)
        self.fields["what"].choices = list(_choices(user))

    @property
    def has_choices(self) -> bool:
        return bool(self.fields["what"].choices)


def _choices(user: AbstractBaseUser | AnonymousUser) -> Iterator[tuple[str, str]]:
    if user.has_perm(PERMISSIONS["all"]):
        yield "all", "all speculation"
    if user.has_perm(PERMISSIONS["agent"]):
        for agent in AgentProfile.objects.exclude(model_kind=ModelKind.RECORDED):
            yield f"agent {agent.pk}", f"agent {agent}"
    if user.has_perm(PERMISSIONS["tool"]):
        for tool in ToolRecord.objects.filter(enabled=True).exclude(effect__in=WRITING):
            yield f"tool {tool.pk}", f"tool {tool}"


def paused_now(user: AbstractBaseUser | AnonymousUser) -> list[Paused]:
    """All that operators paused: everything, agents, tools."""
    may = {kind: user.has_perm(permission) for kind, permission in PERMISSIONS.items()}
    pools = WorkerPool.objects.filter(is_paused=True)[:1]
    agents = open_now().filter(kind=BreakerKind.PAUSE).select_related("agent")
    tools = ToolRecord.objects.filter(enabled=False)
    return [
        *(Paused("all speculation", "all", pool.pause_reason, may["all"]) for pool in pools),
        *(Paused(f"agent {one.agent}", f"agent {one.agent_id}", one.reason, may["agent"]) for one in agents),
        *(Paused(f"tool {tool}", f"tool {tool.pk}", tool.disabled_reason, may["tool"]) for tool in tools),
    ]


@require_POST
def pause(request: HttpRequest) -> HttpResponse:
    """One press at the top of a page, with a reason of its own; or the scheduler's form. Then: what it gave up."""
    kind, key = _chosen(request)
    form = PauseForm(request.POST, user=request.user)
    if form.is_valid():
        label = dict(form.fields["what"].choices)[form.cleaned_data["what"]]
        did = _pause(kind, key, who=request.user.get_username(), why=form.cleaned_data["why"], user=request.user)
        messages.success(request, f"{_paused(request, label)} {ending_words(did)}" if did else _was_paused(label))
    else:
        messages.error(request, "Nothing was paused: choose what to pause, and give the reason.")
    return _back(request)


@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """One press: what held before the pause holds again."""
    kind, key = _chosen(request)
    did = _resume(kind, key, who=request.user.get_username(), user=request.user)
    messages.success(request, "Resumed. Guesses run again wherever a decision allows it." if did else "It ran already.")
    return _back(request)


def ending_words(did: GivenUp | policy.Change) -> str:
    """`3 held runs given up, the last ended after 0.1 s.` Waits up to a second for workers that have to stop one."""
    if not did.ended:
        return "No run was held."
    ending = wait_for_end([did])
    given_up = f"{did.ended} held run{'s' if did.ended != 1 else ''} given up"
    last = f", the last ended after {duration(ending.last_seconds)}" if ending.last_seconds is not None else ""
    running = f", {ending.still_running} of them not let go yet" if ending.still_running else ""
    return f"{given_up}{last}{running}."


def _paused(request: HttpRequest, label: str) -> str:
    """At the top of a page there is one thing to pause."""
    return "Paused." if "next" in request.POST else f"Paused: {label}."


def _was_paused(label: str) -> str:
    return f"{label} was paused already.".capitalize()


def _back(request: HttpRequest) -> HttpResponse:
    """To the page that the press was made on, if it is one of ours."""
    page = request.POST.get("next", "")
    return redirect(page if url_has_allowed_host_and_scheme(page, allowed_hosts=None) else "scheduler")


def _chosen(request: HttpRequest) -> tuple[str, int]:
    """What the request is about. Raises PermissionDenied unless this user may pause it."""
    kind, _, key = request.POST.get("what", "").partition(" ")
    if kind not in PERMISSIONS or not request.user.has_perm(PERMISSIONS[kind]):
        raise PermissionDenied
    return kind, int(key) if key.isdecimal() and len(key) < 10 else 0


def _pause(kind: str, key: int, *, who: str, why: str, user: AbstractBaseUser) -> GivenUp | policy.Change | None:
    """What was given up; None where it was paused already."""
    if kind == "all":
        return breakers_pausing.pause_all(True, who=who, why=why, user=user)
    if kind == "agent":
        return breakers_pausing.pause_agent(get_object_or_404(AgentProfile, pk=key), who=who, why=why, user=user)
    tool = get_object_or_404(ToolRecord, pk=key)
    return policy.switch(tool, False, who=who, why=why, user=user) if tool.enabled else None


def _resume(kind: str, key: int, *, who: str, user: AbstractBaseUser) -> bool:
    if kind == "all":
        return breakers_pausing.pause_all(False, who=who, user=user) is not None
    if kind == "agent":
        paused = open_now().filter(kind=BreakerKind.PAUSE, agent=key).first()
        return paused is not None and reset(paused, who=who, user=user, why="Resumed.")
    tool = get_object_or_404(ToolRecord, pk=key)
    return not tool.enabled and policy.switch(tool, True, who=who, user=user).tool.enabled
