"""What is typed on a tool's page: a decision, an approver's word, a price, and a call that is tried."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone

from paste_web.pages.tools import LONGEST_REASON_CHARACTERS
from speculation.form_fields import JSONObjectField
from speculation.models import AgentProfile, ApprovalLevel, ModelKind, ToolRecord
from speculation.prices import against_price
from speculation.terms import LONGEST_TTL_SECONDS, MOST_PARALLEL, against_reason, against_rule, offered_levels

AGENTS = AgentProfile.objects.exclude(model_kind=ModelKind.RECORDED)


class PinnedForm(forms.Form):
    """Carries the definition and the policy version that were read."""

    definition_hash = forms.CharField(widget=forms.HiddenInput)
    policy_version = forms.IntegerField(widget=forms.HiddenInput)
    why = forms.CharField(
        max_length=LONGEST_REASON_CHARACTERS, label="Reason", widget=forms.Textarea(attrs={"rows": 2})
    )

    @property
    def pinned(self) -> dict[str, Any]:
        """Keyword arguments of policy.decide and policy.declare_reads_only."""
        given = self.cleaned_data
        return {
            "why": given["why"],
            "expected_definition_hash": given["definition_hash"],
            "expected_policy_version": given["policy_version"],
        }


class PriceForm(forms.Form):
    """What a call costs from now on."""

    price = forms.DecimalField(widget=forms.NumberInput(attrs={"min": 0, "step": "any"}), help_text="0 is free.")
    why = forms.CharField(max_length=LONGEST_REASON_CHARACTERS, label="Why this price", help_text="Kept in the audit.")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"prefix": "price", **options})
        self.fields["price"].label = f"Price of a call, in {settings.PASTE_CURRENCY}"

    def clean_price(self) -> Decimal:
        price: Decimal = self.cleaned_data["price"]
        if against := against_price(price):
            raise forms.ValidationError(against)
        return price

    def clean_why(self) -> str:
        why: str = self.cleaned_data["why"]
        if against := against_reason(why):
            raise forms.ValidationError(against)
        return why


class RuleForm(forms.Form):
    """What a call is tried against: the part of a decision that looks at calls."""

    argument_rule = JSONObjectField(required=False)
    agent = forms.ModelChoiceField(AGENTS, required=False)
    level = forms.ChoiceField(choices=ApprovalLevel.choices, required=False)
    canary_percent = forms.IntegerField(min_value=1, max_value=100, required=False)
    arguments = JSONObjectField(required=False, label="Arguments of a call")

    def clean_argument_rule(self) -> Any:
        rule = self.cleaned_data["argument_rule"]
        if rule and (against := against_rule(rule)):
            raise forms.ValidationError(against)
        return rule or None


class DecisionForm(PinnedForm):
    """Starts narrow."""

    level = forms.ChoiceField(label="Level")
    canary_percent = forms.IntegerField(
        min_value=1,
        max_value=100,
        initial=10,
        label="Share of sessions, in %",
        help_text="Counts for the level canary.",
    )
    agent = forms.ModelChoiceField(AGENTS, required=False, empty_label="all agents", label="Agent")
    ttl_seconds = forms.FloatField(
        min_value=0.1, max_value=LONGEST_TTL_SECONDS, initial=30, label="Results kept, in seconds"
    )
    max_parallel = forms.IntegerField(
        min_value=1, max_value=MOST_PARALLEL, initial=2, label="At most so many at a time"
    )
    days = forms.IntegerField(min_value=1, max_value=3650, initial=90, label="Ends after, in days")
    argument_rule = JSONObjectField(
        required=False,
        label="Argument rule",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="A JSON Schema that a call's arguments must meet to run early. Empty: none.",
    )
    may_tell_outsiders = forms.BooleanField(
        required=False,
        label="May send arguments to an outside party before the model asked",
        help_text="Only for tools that reach out of this installation.",
    )

    may_tell_new_values = forms.BooleanField(
        required=False,
        label="Also values that the session has not exchanged with that server before",
        help_text="Without this, only what was already sent to that server or came from it goes out early.",
    )

    field_order = (
        *("level", "canary_percent", "agent", "ttl_seconds", "max_parallel", "days"),
        *("argument_rule", "may_tell_outsiders", "may_tell_new_values", "why"),
    )

    def __init__(self, tool: ToolRecord, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["level"].choices = [(level.value, level.label) for level in offered_levels(tool)]

    def terms(self) -> dict[str, Any]:
        """Keyword arguments of policy.decide."""
        names = (
            *("level", "canary_percent", "agent", "ttl_seconds", "max_parallel"),
            *("may_tell_outsiders", "may_tell_new_values"),
        )
        given = self.cleaned_data
        return {
            **self.pinned,
            **{name: given[name] for name in names},
            "argument_rule": given["argument_rule"] or None,
            "expires_at": timezone.now() + timedelta(days=given["days"]),
        }
