"""Tools: which may run before they are asked for, which do so now, and the decision itself."""

import json
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from paste_web.plain_text import reveal
from speculation import policy
from speculation.argument_rows import argument_rows
from speculation.form_fields import StorableJSONField
from speculation.models import AgentProfile, ApprovalLevel, AuditEntry, ModelKind, ToolRecord
from speculation.policy import DECIDABLE_LEVELS, LONGEST_TTL_SECONDS, MOST_PARALLEL, DecisionOutdated, DecisionRefused
from speculation.tool_rows import ToolRow, tool_rows

ROWS_A_PAGE = 50
LONGEST_REASON_CHARACTERS = 2000
LEVELS = [(level.value, level.label) for level in DECIDABLE_LEVELS]
MAY_SWITCH, MAY_DECIDE = "speculation.change_toolrecord", "speculation.add_approval"


class DecisionForm(forms.Form):
    """Starts narrow. Carries the definition and the policy version that were read."""

    level = forms.ChoiceField(choices=LEVELS, initial=ApprovalLevel.CANARY, label="Level")
    canary_percent = forms.IntegerField(
        min_value=1,
        max_value=100,
        initial=10,
        label="Share of sessions, in %",
        help_text="Counts for the level canary.",
    )
    agent = forms.ModelChoiceField(
        AgentProfile.objects.exclude(model_kind=ModelKind.RECORDED),
        required=False,
        empty_label="all agents",
        label="Agent",
    )
    ttl_seconds = forms.FloatField(
        min_value=0.1, max_value=LONGEST_TTL_SECONDS, initial=30, label="Results kept, in seconds"
    )
    max_parallel = forms.IntegerField(
        min_value=1, max_value=MOST_PARALLEL, initial=2, label="At most so many at a time"
    )
    days = forms.IntegerField(min_value=1, max_value=3650, initial=90, label="Ends after, in days")
    argument_rule = StorableJSONField(
        required=False,
        label="Argument rule",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="A JSON Schema that a call's arguments must meet. Empty: none.",
    )
    may_tell_outsiders = forms.BooleanField(
        required=False,
        label="May send arguments to an outside party before the model asked",
        help_text="Only for tools that reach out of this installation.",
    )
    why = forms.CharField(
        max_length=LONGEST_REASON_CHARACTERS, label="Reason", widget=forms.Textarea(attrs={"rows": 2})
    )
    definition_hash = forms.CharField(widget=forms.HiddenInput)
    policy_version = forms.IntegerField(widget=forms.HiddenInput)

    def terms(self) -> dict[str, Any]:
        """Keyword arguments of policy.decide."""
        given = dict(self.cleaned_data)
        given["expires_at"] = timezone.now() + timedelta(days=given.pop("days"))
        given["argument_rule"] = given["argument_rule"] or None
        given["expected_definition_hash"] = given.pop("definition_hash")
        given["expected_policy_version"] = given.pop("policy_version")
        return given


@login_required
@require_GET
def tools(request: HttpRequest) -> HttpResponse:
    text, server = request.GET.get("q", "").strip().replace("\0", ""), request.GET.get("server", "").replace("\0", "")
    found = ToolRecord.objects.filter(Q(name__icontains=text) | Q(server__icontains=text))
    if server:
        found = found.filter(server=server)
    page = Paginator(found, ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": tool_rows(page.object_list, timezone.now()),
        "text": text,
        "server": server,
        "servers": ToolRecord.objects.order_by("server").values_list("server", flat=True).distinct(),
        "may_switch": request.user.has_perm(MAY_SWITCH),
    }
    return render(request, "tools/list.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tool(request: HttpRequest, server: str, name: str) -> HttpResponse:
    record = get_object_or_404(ToolRecord, server=server, name=name)
    if request.method != "POST":
        return _detail(request, record, _fresh_form(record))
    if not request.user.has_perm(MAY_DECIDE):
        return render(request, "403.html", status=403)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _detail(request, record, form, status=422)
    return _decide(request, record, form)


def _decide(request: HttpRequest, record: ToolRecord, form: DecisionForm) -> HttpResponse:
    terms = form.terms()
    try:
        change = policy.decide(record, terms.pop("level"), who=request.user.get_username(), user=request.user, **terms)
    except DecisionRefused as refused:
        form.add_error(None, str(refused))
        return _detail(request, record, form, status=422)
    except DecisionOutdated as outdated:
        return _detail(
            request, outdated.tool, _typed_again(request.POST, outdated.tool), status=409, seen=form.cleaned_data
        )
    messages.success(request, f"Decided: {change.approval.get_level_display()}. {_ended(change)}")
    return redirect("tool", record.server, record.name)


@require_POST
@permission_required(MAY_SWITCH, raise_exception=True)
def switch_tool(request: HttpRequest, tool_id: int) -> HttpResponse:
    record = get_object_or_404(ToolRecord, pk=tool_id)
    on = request.POST.get("on") == "1"
    change = policy.switch(record, on, who=request.user.get_username(), user=request.user)
    messages.success(request, f"{record.name} switched {'on' if on else 'off'}. {_ended(change)}")
    return redirect("tools") if request.POST.get("from") == "list" else redirect("tool", record.server, record.name)


@require_POST
@permission_required(MAY_DECIDE, raise_exception=True)
def revoke_tool(request: HttpRequest, tool_id: int) -> HttpResponse:
    """One press: the reason can be given later, in a decision."""
    record = get_object_or_404(ToolRecord, pk=tool_id)
    change = policy.revoke(
        record, who=request.user.get_username(), user=request.user, why="Revoked on the tool's page."
    )
    messages.success(request, f"Revoked. {_ended(change)}")
    return redirect("tool", record.server, record.name)


def _ended(change: policy.Change) -> str:
    return f"{change.ended} held run{'s' if change.ended != 1 else ''} given up."


def _fresh_form(record: ToolRecord) -> DecisionForm:
    first_agent = record.agents.exclude(model_kind=ModelKind.RECORDED).first()
    seen = {"definition_hash": record.definition_hash, "policy_version": record.policy_version}
    return DecisionForm(initial={**seen, "agent": first_agent})


def _typed_again(typed: QueryDict, record: ToolRecord) -> DecisionForm:
    """What was typed, about the tool as it is now."""
    again = typed.copy()
    again["definition_hash"], again["policy_version"] = record.definition_hash, str(record.policy_version)
    return DecisionForm(again)


def _detail(
    request: HttpRequest, record: ToolRecord, form: DecisionForm, status: int = 200, seen: dict[str, Any] | None = None
) -> HttpResponse:
    """`seen`: the version and definition that an outdated decision was about."""
    row: ToolRow = tool_rows([record], timezone.now())[0]
    suffix = f": {record}"
    history = AuditEntry.objects.filter(what__endswith=suffix)
    context = {
        "row": row,
        "tool": record,
        "description": reveal(str(record.definition.get("description", ""))),
        "arguments": argument_rows(record),
        "definition": reveal(json.dumps(record.definition, indent=2, ensure_ascii=False)),
        "form": form,
        "seen": seen,
        "definition_changed": seen is not None and seen["definition_hash"] != record.definition_hash,
        "since": history[: max(0, record.policy_version - seen["policy_version"])] if seen else [],
        "history": history[:ROWS_A_PAGE],
        "suffix": suffix,
        "may_switch": request.user.has_perm(MAY_SWITCH),
        "may_decide": request.user.has_perm(MAY_DECIDE),
    }
    return render(request, "tools/detail.html", context, status=status)
