"""Scheduler: does speculation hurt real work? Slots, waits, breakers with their limits, and the pause."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from paste_web.pages.pausing import PauseForm, paused_now
from speculation import pool_figures, processors
from speculation.breakers_limits import adjust
from speculation.breakers_open import open_now
from speculation.breakers_opening import reset
from speculation.engine.breaking import Limits
from speculation.models import Breaker, BreakerKind, BreakerOpening, BreakerScope
from speculation.policy import DecisionRefused

AN_HOUR_SECONDS = 3600.0
MOST_OPENINGS = 20
MAY_CHANGE = "speculation.change_breaker"
UNITS = {
    BreakerKind.WASTE: "worker seconds wasted",
    BreakerKind.INTERFERENCE: "seconds that real calls queued behind it",
    BreakerKind.ERRORS: "% of its runs failed, of 10 or more",
    BreakerKind.DIVERGENCE: "served results contradicted by a second run",
    BreakerKind.QUOTA: "left of its quota, at least",
    BreakerKind.AUTH: "times its credentials were refused",
    BreakerKind.UNSTARTED: "guesses that no worker began, nor any after them",
}
"""What a limit counts. That of errors is a share, shown in percent."""


class LimitsForm(forms.Form):
    """One breaker's limits, as the page shows them."""

    limit = forms.FloatField(label="Limit", min_value=0.001)
    window_seconds = forms.FloatField(label="Measured over, in seconds", min_value=1, max_value=86_400)
    reset_seconds = forms.FloatField(label="Stays off, in seconds", min_value=1, max_value=86_400)
    enabled = forms.BooleanField(label="Enabled", required=False)
    why = forms.CharField(label="Reason", max_length=500)

    def __init__(self, breaker: Breaker, *arguments: Any) -> None:
        self.breaker = breaker
        names = ("window_seconds", "reset_seconds", "enabled")
        initial = {name: getattr(breaker, name) for name in names} | {"limit": round(breaker.limit * self._scale, 4)}
        super().__init__(*arguments, initial=initial, prefix=f"breaker-{breaker.pk}")
        self.fields["limit"].label = f"Limit: {UNITS[BreakerKind(breaker.kind)]}"

    @property
    def _scale(self) -> float:
        return 100.0 if self.breaker.kind == BreakerKind.ERRORS else 1.0

    @property
    def limits(self) -> Limits:
        given = self.cleaned_data
        return Limits(given["limit"] / self._scale, given["window_seconds"], given["reset_seconds"], given["enabled"])


@login_required
@require_GET
def scheduler(request: HttpRequest) -> HttpResponse:
    """`?breaker=` and `?reset=` name what this reader wants to change."""
    if not request.user.has_perm(MAY_CHANGE):
        return _page(request)
    chosen, opened = _number(request, "breaker"), _number(request, "reset")
    breaker = Breaker.objects.select_related("tool", "agent").filter(pk=chosen).first()
    return _page(request, LimitsForm(breaker) if breaker else None, open_now().filter(pk=opened).first())


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


@login_required
@require_GET
def scheduler_live(request: HttpRequest) -> HttpResponse:
    """The part that the page asks for again every 2 s."""
    return render(request, "scheduler/live.html", _live(request))


@require_POST
@permission_required(MAY_CHANGE, raise_exception=True)
def reset_breaker(request: HttpRequest, opening_id: int) -> HttpResponse:
    opening = get_object_or_404(BreakerOpening, pk=opening_id)
    why = request.POST.get("why", "").strip().replace("\0", "")
    if not why:
        messages.error(request, "Nothing was changed: give the reason, whoever reads the audit later needs it.")
    elif reset(opening, who=request.user.get_username(), user=request.user, why=why[:500]):
        messages.success(request, f"Closed: {opening}. Speculation may run again there.")
    else:
        messages.info(request, f"{opening} was closed already.")
    return _back()


@require_POST
@permission_required(MAY_CHANGE, raise_exception=True)
def adjust_breaker(request: HttpRequest, breaker_id: int) -> HttpResponse:
    breaker = get_object_or_404(Breaker.objects.select_related("tool", "agent"), pk=breaker_id)
    form = LimitsForm(breaker, request.POST)
    if form.is_valid():
        try:
            adjust(
                breaker, form.limits, who=request.user.get_username(), user=request.user, why=form.cleaned_data["why"]
            )
        except DecisionRefused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, f"Stored: the limits of the {breaker}.")
            return _back()
    return _page(request, form, status=422)


def _page(
    request: HttpRequest, form: LimitsForm | None = None, resetting: BreakerOpening | None = None, status: int = 200
) -> HttpResponse:
    """`form`, `resetting`: what is to be changed, above all else."""
    context = {
        **_live(request),
        "form": form,
        "resetting": resetting,
        "breakers": sorted(Breaker.objects.select_related("tool", "agent"), key=_place),
        "pause_form": PauseForm(user=request.user),
        "history": BreakerOpening.objects.exclude(closed_at=None).select_related("tool", "agent")[:MOST_OPENINGS],
    }
    return render(request, "scheduler/page.html", context, status=status)


def _place(breaker: Breaker) -> tuple[int, int]:
    """By kind, the widest scope first."""
    kinds, scopes = list(UNITS), (BreakerScope.ALL, BreakerScope.AGENT, BreakerScope.TOOL)
    return kinds.index(BreakerKind(breaker.kind)), scopes.index(BreakerScope(breaker.scope))


def _live(request: HttpRequest) -> dict[str, Any]:
    return {
        "pools": pool_figures.slots_now(),
        "waits": pool_figures.queue_waits(AN_HOUR_SECONDS),
        "given_up": pool_figures.given_up(AN_HOUR_SECONDS),
        "checked": pool_figures.checked(),
        "verify_percent": settings.PASTE_VERIFY_PERCENT,
        "spent_seconds": pool_figures.spent_in_a_minute(),
        "minute_budget_seconds": settings.PASTE_SPECULATION_SECONDS_A_MINUTE,
        "session_budget_seconds": settings.PASTE_SPECULATION_SECONDS_A_SESSION,
        "real_use_percent": processors.of_this_machine.real_use() * 100,
        "rest_above_percent": settings.PASTE_REST_ABOVE_PERCENT,
        "openings": open_now().exclude(kind=BreakerKind.PAUSE).select_related("tool", "agent"),
        "paused_here": paused_now(request.user),
        "may_change": request.user.has_perm(MAY_CHANGE),
    }


def _back() -> HttpResponseRedirect:
    return redirect("scheduler")
