"""Every table in the admin. It lists and filters; what has a rule is changed by the module that owns the rule."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from speculation.access import revoke_key
from speculation.audited import AuditedAdmin, ReadOnlyAdmin
from speculation.breakers_limits import adjust, refuse_impossible
from speculation.breakers_pausing import give_up_all
from speculation.engine.breaking import Limits
from speculation.models import (
    AgentProfile,
    AlertThreshold,
    ApiKey,
    Approval,
    AuditEntry,
    Breaker,
    BreakerOpening,
    EventRecord,
    IdempotencyRecord,
    ModelEndpoint,
    ModelSeat,
    PatternEdit,
    PatternRecord,
    RemoteCall,
    Session,
    ToolJob,
    ToolQuota,
    ToolRecord,
    WorkerPool,
)
from speculation.pattern_admin import PatternEditAdmin, PatternRecordAdmin
from speculation.policy import DecisionRefused
from speculation.tool_admin import ToolRecordAdmin


@admin.register(AgentProfile)
class AgentProfileAdmin(AuditedAdmin):
    list_display = ("name", "title", "model_kind", "model", "mode", "canary_percent", "holdout_percent", "max_turns")
    list_filter = ("model_kind", "mode")
    search_fields = ("name", "title", "model")
    filter_horizontal = ("tools",)
    readonly_fields = ("created_at",)


@admin.register(WorkerPool)
class WorkerPoolAdmin(AuditedAdmin):
    list_display = ("name", "slots", "reserved", "is_paused", "pause_reason")
    search_fields = ("name",)

    def get_readonly_fields(self, request: HttpRequest, row: WorkerPool | None = None) -> tuple[str, ...]:
        return ("name",) if row else ()

    def write(self, row: WorkerPool, form: forms.ModelForm) -> None:
        super().write(row, form)
        if row.is_paused and "is_paused" in form.changed_data:
            give_up_all()

    def has_delete_permission(self, request: HttpRequest, row: WorkerPool | None = None) -> bool:
        return False


@admin.register(ModelEndpoint)
class ModelEndpointAdmin(AuditedAdmin):
    """A new limit holds for the seats that are given out from then on."""

    list_display = ("name", "most_requests")
    search_fields = ("name",)

    def get_readonly_fields(self, request: HttpRequest, row: ModelEndpoint | None = None) -> tuple[str, ...]:
        return ("name",) if row else ()

    def has_delete_permission(self, request: HttpRequest, row: ModelEndpoint | None = None) -> bool:
        return False


@admin.register(ModelSeat)
class ModelSeatAdmin(ReadOnlyAdmin):
    list_display = ("session", "endpoint", "asked_at", "seated_at", "model_seconds", "usual_tool_seconds")
    list_filter = ("endpoint",)
    list_select_related = ("session", "endpoint")
    search_fields = ("session__id", "endpoint__name")


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("short_id", "agent", "status", "arm", "origin", "model_name", "created_at", "ended_at")
    list_filter = ("status", "arm", "origin", "agent")
    list_select_related = ("agent",)
    search_fields = ("id", "task", "agent__name")
    payload_fields = ("answer", "error", "world")


@admin.register(EventRecord)
class EventRecordAdmin(ReadOnlyAdmin):
    list_display = ("session", "seq", "kind", "at")
    list_filter = ("kind",)
    list_select_related = ("session",)
    search_fields = ("session__id", "kind")
    ordering = ("-pk",)
    payload_fields = ("payload",)


@admin.register(ToolJob)
class ToolJobAdmin(ReadOnlyAdmin):
    list_display = ("short_id", "tool", "status", "call_id", "session", "created_at", "ended_at", "end_reason")
    list_filter = ("status", "effect", "pool", "tool")
    list_select_related = ("tool", "session")
    search_fields = ("id", "session__id", "tool__name", "call_id")
    ordering = ("-created_at",)
    payload_fields = ("arguments", "result", "error", "fingerprint")

    @admin.display(description="Job", ordering="pk")
    def short_id(self, job: ToolJob) -> str:
        return str(job.pk)[-8:]


admin.site.register(PatternRecord, PatternRecordAdmin)
admin.site.register(PatternEdit, PatternEditAdmin)
admin.site.register(ToolRecord, ToolRecordAdmin)


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = ("tool", "level", "agent", "who", "created_at", "expires_at", "why")
    list_filter = ("level", "tool")
    list_select_related = ("tool", "agent")
    search_fields = ("tool__name", "who", "why")


class BreakerForm(forms.ModelForm):
    """Limits, with the reason for changing them."""

    why = forms.CharField(label="Reason", max_length=500, help_text="Kept in the audit.")

    class Meta:
        model = Breaker
        fields = ("kind", "scope", "tool", "agent", "limit", "window_seconds", "reset_seconds", "enabled")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        scope = given.get("scope", self.instance.scope)
        if (scope != "tool" and given.get("tool")) or (scope != "agent" and given.get("agent")):
            raise forms.ValidationError("Only the scope of a tool names a tool, and only that of an agent an agent.")
        return given

    @property
    def limits(self) -> Limits:
        return Limits(*(self.cleaned_data[name] for name in ("limit", "window_seconds", "reset_seconds", "enabled")))

    def _post_clean(self) -> None:
        super()._post_clean()
        if self.errors:
            return
        try:
            refuse_impossible(self.instance, self.limits, self.cleaned_data["why"])
        except DecisionRefused as refused:
            self.add_error(None, str(refused))


@admin.register(Breaker)
class BreakerAdmin(ModelAdmin):
    """The limits that breakers judge by; the module that owns them stores and audits every change."""

    form = BreakerForm
    list_display = ("kind", "scope", "tool", "agent", "limit", "window_seconds", "reset_seconds", "enabled")
    list_filter = ("kind", "scope", "enabled")
    list_select_related = ("tool", "agent")
    search_fields = ("tool__name", "agent__name")

    def get_readonly_fields(self, request: HttpRequest, row: Breaker | None = None) -> tuple[str, ...]:
        return ("kind", "scope", "tool", "agent") if row else ()

    def has_delete_permission(self, request: HttpRequest, row: Breaker | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, row: Breaker, form: BreakerForm, change: bool) -> None:
        user = request.user
        adjust(row, form.limits, who=user.get_username(), why=form.cleaned_data["why"], user=user)


@admin.register(AlertThreshold)
class AlertThresholdAdmin(AuditedAdmin):
    """What stands beyond these is told on the overview."""

    list_display = ("metric", "side", "value", "window_hours", "least", "enabled")
    list_filter = ("metric", "enabled")
    search_fields = ("metric",)


@admin.register(BreakerOpening)
class BreakerOpeningAdmin(ReadOnlyAdmin):
    """Reset on the scheduler's page."""

    list_display = ("kind", "scope", "tool", "agent", "opened_at", "open_until", "closed_at", "closed_by", "reason")
    list_filter = ("kind", "scope")
    list_select_related = ("tool", "agent")
    search_fields = ("tool__name", "agent__name", "reason")


@admin.register(RemoteCall)
class RemoteCallAdmin(ReadOnlyAdmin):
    """Calls of agents elsewhere that wait for their answer: a row stands only as long."""

    list_display = ("created_at", "session", "tool", "call_id")
    list_select_related = ("session",)
    search_fields = ("session__id", "tool")
    payload_fields = ("arguments", "said", "answer")


@admin.register(ToolQuota)
class ToolQuotaAdmin(ReadOnlyAdmin):
    list_display = ("tool", "left", "resets_at", "noted_at")
    list_select_related = ("tool",)
    search_fields = ("tool__name",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are made on the page Connect or by `manage.py create_api_key`, which show them once."""

    list_display = ("name", "prefix", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    search_fields = ("name", "prefix")
    never_shown = ("key_hash",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("speculation.change_apikey"))

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        user = request.user
        revoked = sum(revoke_key(key, who=user.get_username(), user=user, why="Revoked in the admin.") for key in keys)
        messages.success(request, f"{revoked} key{'s' if revoked != 1 else ''} revoked.")


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ReadOnlyAdmin):
    list_display = ("key", "api_key", "path", "status", "created_at")
    list_select_related = ("api_key",)
    search_fields = ("key", "api_key__name")
    payload_fields = ("response",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "who", "what", "why")
    search_fields = ("who", "what", "why")
    date_hierarchy = "at"
