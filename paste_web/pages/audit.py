"""Audit: who allowed what, when and why; narrowed, one entry in full, and as CSV."""

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from paste_web.csv_answers import csv_answer
from speculation.audit_log import (
    ENTRIES_A_PAGE,
    EXPORTED,
    KINDS,
    OTHER,
    AuditFilter,
    AuditRow,
    everybody,
    exported,
    row_of,
)
from speculation.models import AuditEntry

MAY_SEE = "speculation.view_auditentry"
KIND_CHOICES = [("", "All"), *((kind.name, kind.label) for kind in (*KINDS, OTHER))]


class NarrowForm(forms.Form):
    """What narrows the list; a value that cannot be narrows nothing and is told beside its field."""

    text = forms.CharField(required=False, label="Text", max_length=200)
    who = forms.ChoiceField(required=False, label="Who")
    kind = forms.ChoiceField(required=False, label="What", choices=KIND_CHOICES)
    since = forms.DateField(required=False, label="From, in UTC", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, use_required_attribute=False)
        self.fields["who"].choices = [("", "Everybody"), *((name, name) for name in everybody())]
        self.fields["text"].widget.attrs["type"] = "search"

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        since, until = given.get("since"), given.get("until")
        if since and until and until < since:
            self.add_error("until", "This day lies before the first one.")
        return given

    def narrowed(self) -> AuditFilter:
        self.full_clean()
        return AuditFilter(**{name: value for name, value in self.cleaned_data.items() if value})


@login_required
@require_GET
@permission_required(MAY_SEE, raise_exception=True)
def audit(request: HttpRequest) -> HttpResponse:
    """`?entry=` names the one that is shown in full."""
    form = NarrowForm(request.GET)
    narrowed = form.narrowed()
    page = Paginator(narrowed.entries(), ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    chosen = request.GET.get("entry", "")
    context = {
        "form": form,
        "narrowed": narrowed,
        "chips": _chips(request, form),
        "page": page,
        "rows": [row_of(entry) for entry in page.object_list],
        "chosen": _chosen(chosen) if chosen else None,
        "asked_for": chosen,
        "filters": _without(request.GET, "page", "entry").urlencode(),
    }
    return render(request, "audit/page.html", context)


@login_required
@require_GET
@permission_required(MAY_SEE, raise_exception=True)
def audit_export(request: HttpRequest) -> HttpResponseBase:
    """All entries that the same filters leave, on all pages. With a filter that cannot be: back to the page, which says so."""
    form = NarrowForm(request.GET)
    if not form.is_valid():
        return redirect(f"{reverse('audit')}?{request.GET.urlencode()}")
    return csv_answer(f"audit-{timezone.now():%Y-%m-%d}.csv", EXPORTED, exported(form.narrowed()))


def _chosen(text: str) -> AuditRow | None:
    entry = AuditEntry.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None
    return row_of(entry) if entry else None


def _chips(request: HttpRequest, form: NarrowForm) -> list[dict[str, str]]:
    """What narrows the list, each with the address that removes it."""
    labels = {"kind": dict(KIND_CHOICES)}
    return [
        {
            "label": f"{form.fields[name].label}: {labels.get(name, {}).get(value, value)}",
            "url": f"?{_without(request.GET, name, 'page').urlencode()}",
        }
        for name, value in form.cleaned_data.items()
        if value
    ]


def _without(parameters: QueryDict, *names: str) -> QueryDict:
    rest = parameters.copy()
    for name in names:
        rest.pop(name, None)
    return rest
