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
from django.views.decorators.http import require_POST

from speculation import breakers_pausing, policy
from speculation.breakers_open import open_now
from speculation.breakers_opening import reset
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
    kind, key = _chosen(request)
    form = PauseForm(request.POST, user=request.user)
    if form.is_valid():
        label = dict(form.fields["what"].choices)[form.cleaned_data["what"]]
        did = _pause(kind, key, who=request.user.get_username(), why=form.cleaned_data["why"], user=request.user)
        messages.success(request, f"Paused: {label}." if did else f"{label} was paused already.".capitalize())
    else:
        messages.error(request, "Nothing was paused: choose what to pause, and give the reason.")
    return redirect("scheduler")


@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """One press: what held before the pause holds again."""
    kind, key = _chosen(request)
    did = _resume(kind, key, who=request.user.get_username(), user=request.user)
    messages.success(request, "Resumed." if did else "It ran already.")
    return redirect("scheduler")


def _chosen(request: HttpRequest) -> tuple[str, int]:
    """What the request is about. Raises PermissionDenied unless this user may pause it."""
    kind, _, key = request.POST.get("what", "").partition(" ")
    if kind not in PERMISSIONS or not request.user.has_perm(PERMISSIONS[kind]):
        raise PermissionDenied
    return kind, int(key) if key.isdecimal() and len(key) < 10 else 0


def _pause(kind: str, key: int, *, who: str, why: str, user: AbstractBaseUser) -> bool:
    if kind == "all":
        return breakers_pausing.pause_all(True, who=who, why=why, user=user)
    if kind == "agent":
        return breakers_pausing.pause_agent(get_object_or_404(AgentProfile, pk=key), who=who, why=why, user=user)
    tool = get_object_or_404(ToolRecord, pk=key)
    return tool.enabled and not policy.switch(tool, False, who=who, why=why, user=user).tool.enabled


def _resume(kind: str, key: int, *, who: str, user: AbstractBaseUser) -> bool:
    if kind == "all":
        return breakers_pausing.pause_all(False, who=who, user=user)
    if kind == "agent":
        paused = open_now().filter(kind=BreakerKind.PAUSE, agent=key).first()
        return paused is not None and reset(paused, who=who, user=user, why="Resumed.")
    tool = get_object_or_404(ToolRecord, pk=key)
    return not tool.enabled and policy.switch(tool, True, who=who, user=user).tool.enabled
