"""One tool: what it is and costs, what speaks for it, the decision about it, and trying an argument rule before it is stored."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from paste_web import tool_words
from paste_web.pages.tools import MAY_DECIDE, MAY_SWITCH
from paste_web.session_view import may_read_payloads
from paste_web.tool_forms import DecisionForm, PinnedForm, PriceForm, RuleForm
from paste_web.tool_view import tool_context
from paste_web.wording import money
from speculation import endings, policy, prices
from speculation.argument_trial import try_call, try_rule
from speculation.effects import warms_by
from speculation.models import AgentProfile, Approval, ApprovalLevel, ModelKind, ToolRecord
from speculation.policy import DecisionOutdated, DecisionRefused
from speculation.terms import offered_levels
from speculation.tool_evidence import evidence
from speculation.verdicts import WRITING

TRIED_BY = "you"


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tool(request: HttpRequest, server: str, name: str) -> HttpResponse:
    record = get_object_or_404(ToolRecord, server=server, name=name)
    if request.method != "POST":
        return _page(request, record)
    if not request.user.has_perm(MAY_DECIDE):
        return render(request, "403.html", status=403)
    form = DecisionForm(record, request.POST)
    if not form.is_valid():
        return _page(request, record, form=form, status=422)
    return _decide(request, record, form)


def _decide(request: HttpRequest, record: ToolRecord, form: DecisionForm) -> HttpResponse:
    terms = form.terms()
    try:
        change = policy.decide(record, terms.pop("level"), who=request.user.get_username(), user=request.user, **terms)
    except DecisionRefused as refused:
        form.add_error(None, str(refused))
        return _page(request, record, form=form, status=422)
    except DecisionOutdated as outdated:
        again = DecisionForm(outdated.tool, _as_now(request.POST, outdated.tool))
        return _page(request, outdated.tool, form=again, status=409, seen=form.cleaned_data)
    did = tool_words.ended(endings.wait_for_end([change]))
    messages.success(request, f"Decided: {change.approval.get_level_display()}. {did}")
    return redirect("tool", record.server, record.name)


@require_POST
@permission_required(MAY_DECIDE, raise_exception=True)
def declare_tool(request: HttpRequest, tool_id: int) -> HttpResponse:
    """An approver's word that a tool of unknown effect only reads."""
    record = get_object_or_404(ToolRecord, pk=tool_id)
    form = PinnedForm(request.POST, prefix="declare")
    if not form.is_valid():
        return _page(request, record, declaration=form, status=422)
    try:
        policy.declare_reads_only(record, who=request.user.get_username(), user=request.user, **form.pinned)
    except DecisionRefused as refused:
        form.add_error(None, str(refused))
        return _page(request, record, declaration=form, status=422)
    except DecisionOutdated as outdated:
        again = PinnedForm(_as_now(request.POST, outdated.tool, "declare-"), prefix="declare")
        return _page(request, outdated.tool, declaration=again, status=409, seen=form.cleaned_data)
    messages.success(
        request, f"Recorded: you declared that {record.name} only reads. Nothing runs early by that alone."
    )
    return redirect("tool", record.server, record.name)


@require_POST
@permission_required(MAY_SWITCH, raise_exception=True)
def price_tool(request: HttpRequest, tool_id: int) -> HttpResponse:
    """What a call of it costs from now on: like the switch, for whoever operates, since it permits nothing."""
    record = get_object_or_404(ToolRecord, pk=tool_id)
    form = PriceForm(request.POST)
    if not form.is_valid():
        return _page(request, record, pricing=form, status=422)
    price, why = form.cleaned_data["price"], form.cleaned_data["why"]
    record = prices.change_price(record, price, who=request.user.get_username(), why=why, user=request.user)
    messages.success(request, f"A call of {record.name} costs {money(record.price_per_call)} from the next forecast on.")
    return redirect("tool", record.server, record.name)


@require_POST
@permission_required(MAY_DECIDE, raise_exception=True)
def try_arguments(request: HttpRequest, tool_id: int) -> HttpResponse:
    """Would this call be allowed under what is typed, and what would that refuse? The part of the page, or the whole."""
    record = get_object_or_404(ToolRecord, pk=tool_id)
    trial = {
        "trial": _tried(record, RuleForm(request.POST)),
        "tool": record,
        "may_read": may_read_payloads(request.user),
    }
    if request.htmx:
        return render(request, "tools/trial.html", trial)
    more = {**trial, "arguments_typed": request.POST.get("arguments", "")}
    return _page(request, record, form=_typed(record, request.POST), more=more)


def _tried(record: ToolRecord, form: RuleForm) -> dict[str, Any]:
    now = timezone.now()
    if not form.is_valid():
        return {
            "errors": [(form.fields[name].label or name.replace("_", " "), told) for name, told in form.errors.items()]
        }
    given = form.cleaned_data
    agent_id = given["agent"].pk if given["agent"] else None
    decision = Approval(
        tool=record,
        definition_hash=record.definition_hash,
        level=given["level"] or ApprovalLevel.CANARY,
        canary_percent=given["canary_percent"] or 100,
        argument_rule=given["argument_rule"],
        who=TRIED_BY,
    )
    return {
        "call": try_call(record, decision, given["arguments"], now) if given["arguments"] is not None else None,
        "rule": try_rule(record, given["argument_rule"], agent_id, now),
        "has_rule": given["argument_rule"] is not None,
        "meaning": _meaning(record, given["agent"], decision.level, given["canary_percent"]),
    }


def _meaning(record: ToolRecord, agent: AgentProfile | None, level: str, canary_percent: int | None) -> str:
    if level == ApprovalLevel.TRANSFORMED or record.effect in WRITING:
        return f"Of calls that are foreseen only the warm-up can run early. {warms_by(record)}"
    seen = evidence(record, timezone.now(), agent.pk if agent else None)
    share = canary_percent if level == ApprovalLevel.CANARY else None
    return tool_words.meaning(seen, agent.name if agent else "", share)


def _untried(record: ToolRecord, form: DecisionForm) -> dict[str, Any]:
    """Before anything is tried: what the form as it starts would mean."""
    agent = form.initial.get("agent")
    level, percent = form.initial.get("level", ""), form.fields["canary_percent"].initial
    return {"meaning": _meaning(record, agent if isinstance(agent, AgentProfile) else None, level, percent)}


def _typed(record: ToolRecord, typed: QueryDict) -> DecisionForm:
    """Everything as it was typed, before anything is checked: trying is not deciding."""
    initial: dict[str, Any] = typed.dict()
    initial["argument_rule"] = InvalidJSONInput(initial.get("argument_rule", ""))
    return DecisionForm(record, initial=initial)


def _fresh(record: ToolRecord) -> DecisionForm:
    offered = offered_levels(record)
    level = ApprovalLevel.CANARY if ApprovalLevel.CANARY in offered else ApprovalLevel.SHADOW
    first_agent = record.agents.exclude(model_kind=ModelKind.RECORDED).first()
    return DecisionForm(record, initial={**_pins(record), "agent": first_agent, "level": level})


def _pins(record: ToolRecord) -> dict[str, Any]:
    return {"definition_hash": record.definition_hash, "policy_version": record.policy_version}


def _as_now(typed: QueryDict, record: ToolRecord, prefix: str = "") -> QueryDict:
    """What was typed, about the tool as it is now."""
    again = typed.copy()
    for name, value in _pins(record).items():
        again[f"{prefix}{name}"] = str(value)
    return again


def _page(
    request: HttpRequest,
    record: ToolRecord,
    *,
    form: DecisionForm | None = None,
    declaration: PinnedForm | None = None,
    pricing: PriceForm | None = None,
    status: int = 200,
    seen: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """`seen`: the version and definition that an outdated decision was about."""
    form = form or _fresh(record)
    context = {
        **tool_context(record, request.user, seen),
        "form": form,
        "outside_fields": ("may_tell_outsiders", "may_tell_new_values"),
        "arguments_typed": form.data.get("arguments", ""),
        "trial": _tried(record, RuleForm(form.data)) if form.is_bound else _untried(record, form),
        "pricing": pricing or PriceForm(initial={"price": prices.as_text(record.price_per_call)}),
        "declaration": declaration or PinnedForm(initial=_pins(record), prefix="declare"),
        **(more or {}),
    }
    return render(request, "tools/detail.html", context, status=status)
