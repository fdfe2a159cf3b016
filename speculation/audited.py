"""How the admin shows and changes tables: read-only where a module owns the rule, audited where a person may write."""

from typing import Any

from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from speculation.models import AuditEntry

MAY_READ_PAYLOADS = "speculation.view_payloads"


class ReadOnlyAdmin(ModelAdmin):
    """Rows that a module of ours writes. `payload_fields` are shown only to who may read payloads, and never searched."""

    payload_fields: tuple[str, ...] = ()
    never_shown: tuple[str, ...] = ()
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        names = [field.name for field in self.opts.get_fields() if field.concrete]
        hidden = (
            set(self.never_shown)
            if request.user.has_perm(MAY_READ_PAYLOADS)
            else {*self.never_shown, *self.payload_fields}
        )
        note = ["payloads"] if hidden & set(self.payload_fields) else []
        return [name for name in names if name not in hidden] + note

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return self.get_fields(request, obj)

    def payloads(self, row: Model) -> str:
        return f"Hidden: {', '.join(self.payload_fields)}. Reading them needs the permission view_payloads."


class AuditedAdmin(ModelAdmin):
    """Rows that a person may write: each change is an audit entry with what was and what is."""

    list_per_page = 50

    def save_model(self, request: HttpRequest, row: Model, form: ModelForm, change: bool) -> None:
        names = form.changed_data
        stored = type(row)._default_manager.filter(pk=row.pk).first() if change else None
        before = {name: as_json(_value(stored, name)) for name in names} if stored else None
        self.write(row, form)
        after = {name: as_json(form.cleaned_data[name]) for name in names}
        audit(request, row, "changed" if change else "added", before, after)

    def write(self, row: Model, form: ModelForm) -> None:
        row.save()

    def delete_model(self, request: HttpRequest, row: Model) -> None:
        audit(request, row, "deleted", {"name": str(row)}, None)
        super().delete_model(request, row)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for row in queryset:
            audit(request, row, "deleted", {"name": str(row)}, None)
        super().delete_queryset(request, queryset)


def audit(request: HttpRequest, row: Model, verb: str, before: Any, after: Any) -> None:
    what = f"{row._meta.verbose_name} {verb}: {row}"[:200]
    AuditEntry.objects.create(who=request.user.get_username(), user=request.user, what=what, before=before, after=after)


def as_json(value: Any) -> Any:
    """A field's value as the audit keeps it."""
    if isinstance(value, (QuerySet, list, tuple)):
        return sorted(str(one) for one in value)
    return value if isinstance(value, (dict, str, int, float, bool, type(None))) else str(value)


def _value(row: Model, name: str) -> Any:
    field = row._meta.get_field(name)
    return list(getattr(row, name).all()) if field.many_to_many else getattr(row, name)
