"""Tools in the admin: read there, but for the price, which the module that owns it stores; and what signs them in."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from speculation import policy, prices
from speculation.audited import ReadOnlyAdmin
from speculation.models import ToolRecord
from speculation.terms import against_reason

MAY_CHANGE = "speculation.change_toolrecord"


class ToolForm(forms.ModelForm):
    """A price, with the reason for changing it."""

    why = forms.CharField(label="Reason", max_length=500, help_text="For another price; kept in the audit.")

    class Meta:
        model = ToolRecord
        fields = ("price_per_call",)

    def clean_price_per_call(self) -> Decimal:
        price: Decimal = self.cleaned_data["price_per_call"]
        if against := prices.against_price(price):
            raise forms.ValidationError(against)
        return price

    def clean_why(self) -> str:
        why: str = self.cleaned_data["why"]
        if against := against_reason(why):
            raise forms.ValidationError(against)
        return why


class ToolRecordAdmin(ReadOnlyAdmin):
    form = ToolForm
    list_display = (
        *("name", "server", "effect", "open_world", "enabled", "price_per_call", "policy_version"),
        "changed_at",
    )
    list_filter = ("server", "effect", "enabled")
    search_fields = ("name", "server")
    actions = ("credentials_changed",)

    def has_change_permission(self, request: HttpRequest, obj: ToolRecord | None = None) -> bool:
        return bool(request.user.has_perm(MAY_CHANGE))

    def get_fields(self, request: HttpRequest, obj: ToolRecord | None = None) -> list[str]:
        fields = super().get_fields(request, obj)
        return [*fields, "why"] if self.has_change_permission(request, obj) else fields

    def get_readonly_fields(self, request: HttpRequest, obj: ToolRecord | None = None) -> list[str]:
        fields = super().get_fields(request, obj)
        return [name for name in fields if name != "price_per_call"]

    def save_model(self, request: HttpRequest, row: ToolRecord, form: ToolForm, change: bool) -> None:
        price, why = form.cleaned_data["price_per_call"], form.cleaned_data["why"]
        prices.change_price(row, price, who=request.user.get_username(), why=why, user=request.user)

    @admin.action(
        description="Their credentials changed: end what was guessed with the old ones", permissions=["change"]
    )
    def credentials_changed(self, request: HttpRequest, tools: QuerySet[ToolRecord]) -> None:
        who: dict[str, Any] = {"who": request.user.get_username(), "user": request.user, "why": "Said in the admin."}
        ended = sum(policy.change_credentials(tool, **who).ended for tool in tools)
        messages.success(request, f"{ended} run{'s' if ended != 1 else ''} ended.")
