"""One pattern: its mapping as arrows, what it did, how stale it is; an operator's word with a dry run, and its versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from paste_web.mapping_arrows import arrows, wholes, written
from paste_web.pages.patterns import LONGEST_REASON_CHARACTERS, MAY_EDIT
from paste_web.pattern_days import outcome_bars
from paste_web.session_view import may_read_payloads
from speculation import pattern_edits
from speculation.engine.scheduling import LEAST_OF_ALL, MIN_PROBABILITY
from speculation.form_fields import StorableJSONField
from speculation.models import PatternEdit, PatternRecord
from speculation.pattern_edits import Author, EditOutdated, EditRefused, Word, why_unreadable
from speculation.pattern_history import examples, outcomes_by_day
from speculation.pattern_rows import PatternRow, listed, pattern_rows
from speculation.pattern_trial import SESSIONS_OFFERED, Trial, TrialRefused, try_edit

DAYS_SHOWN = 30


class MappingField(StorableJSONField):
    """A mapping, a source a line."""

    def prepare_value(self, value: Any) -> Any:
        is_mapping = isinstance(value, dict) and not why_unreadable(value)
        return written(value) if is_mapping else super().prepare_value(value)


class EditForm(forms.Form):
    """An operator's word about a pattern. Carries the number of the edit that was read."""

    enabled = forms.BooleanField(
        required=False,
        label="Enabled",
        help_text="Off: this tool is not predicted here, nor in longer contexts; in its row without context, nowhere.",
    )
    probability_override = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        label="Probability",
        help_text="That this tool comes next here and in longer contexts, 0 to 1. Empty: as mined.",
    )
    mapping_override = MappingField(
        required=False,
        label="Mapping",
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
        help_text='{"argument": [["source", right, available], ...]}, best source first; counts say how far to trust it. Empty: as mined.',
    )
    why = forms.CharField(required=False, max_length=LONGEST_REASON_CHARACTERS, label="Reason (optional)")
    sessions = forms.TypedChoiceField(
        required=False, coerce=int, choices=[(n, f"last {n} sessions") for n in SESSIONS_OFFERED], empty_value=SESSIONS_OFFERED[0], label="Try it on the"
    )  # fmt: skip
    number = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def clean_mapping_override(self) -> dict[str, Any] | None:
        mapping = self.cleaned_data["mapping_override"]
        if mapping is not None and (why := why_unreadable(mapping)):
            raise forms.ValidationError(why)
        return mapping

    @property
    def word(self) -> Word:
        given = self.cleaned_data
        return Word(given["enabled"], given["probability_override"], given["mapping_override"])


@dataclass(frozen=True)
class Version:
    """An edit as the page tells it. `changes`: name, before, after."""

    edit: PatternEdit
    changes: Sequence[tuple[str, str, str]]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def pattern(request: HttpRequest, pattern_id: int) -> HttpResponse:
    record = get_object_or_404(listed(), pk=pattern_id)
    if request.method != "POST":
        return _page(request, record, _fresh_form(request, record))
    if not request.user.has_perm(MAY_EDIT):
        return render(request, "403.html", status=403)
    form = EditForm(request.POST)
    if not form.is_valid():
        return _page(request, record, form, status=422)
    return _try(request, record, form) if "try" in request.POST else _save(request, record, form)


@require_POST
@permission_required(MAY_EDIT, raise_exception=True)
def revert_pattern(request: HttpRequest, pattern_id: int) -> HttpResponseRedirect:
    """Back to an earlier version, which becomes the newest one; 0 is what was mined."""
    record = get_object_or_404(PatternRecord, pk=pattern_id)
    numbers = [request.POST.get(name, "") for name in ("to", "number")]
    if not all(text.isdecimal() and len(text) < 10 for text in numbers):
        messages.error(request, "Nothing was changed: which version?")
        return redirect("pattern", pattern_id)
    to, expected = map(int, numbers)
    try:
        edit = pattern_edits.revert(record, to, _author(request, ""), expected_number=expected)
    except pattern_edits.EditError as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, _reverted(edit, to))
    return redirect("pattern", pattern_id)


def _reverted(edit: PatternEdit | None, to: int) -> str:
    what = f"version {to}" if to else "what was mined"
    return f"Stored as version {edit.number}: back to {what}." if edit else f"It is as in {what} already."


def _save(request: HttpRequest, record: PatternRecord, form: EditForm) -> HttpResponse:
    given = form.cleaned_data
    said = {name: getattr(form.word, name) for name in pattern_edits.COLUMNS}
    try:
        edit = pattern_edits.edit(record, _author(request, given["why"]), expected_number=given["number"], **said)
    except EditRefused as refused:
        form.add_error("mapping_override", str(refused))
        return _page(request, record, form, status=422)
    except EditOutdated as outdated:
        again = request.POST.copy()
        again["number"] = str(outdated.newest.number if outdated.newest else 0)
        return _page(request, get_object_or_404(listed(), pk=record.pk), EditForm(again), status=409, outdated=outdated)
    words = (
        f"Stored as version {edit.number}. Sessions heed it within a second."
        if edit
        else "It is so already; nothing was stored."
    )
    messages.success(request, words)
    return redirect("pattern", record.pk)


def _try(request: HttpRequest, record: PatternRecord, form: EditForm) -> HttpResponse:
    """Nothing is stored."""
    try:
        trial = try_edit(record, form.word, form.cleaned_data["sessions"])
    except TrialRefused as refused:
        form.add_error(None, str(refused))
        return _page(request, record, form, status=422)
    return _page(request, record, form, trial=trial)


def _author(request: HttpRequest, why: str) -> Author:
    return Author(request.user.get_username(), request.user, why)


def _fresh_form(request: HttpRequest, record: PatternRecord) -> EditForm:
    """As stored; with `?fill=mapping` and no mapping of an operator's, the one that holds now, to start from."""
    mapping = record.mapping_override
    if mapping is None and request.GET.get("fill") == "mapping":
        mapping = dict(pattern_rows([record])[0].mapping)
    return EditForm(
        initial={
            "enabled": record.enabled,
            "probability_override": record.probability_override,
            "mapping_override": mapping,
            "number": pattern_edits.newest_number(record),
        }
    )


def _page(
    request: HttpRequest,
    record: PatternRecord,
    form: EditForm,
    status: int = 200,
    trial: Trial | None = None,
    outdated: EditOutdated | None = None,
) -> HttpResponse:
    row: PatternRow = pattern_rows([record])[0]
    days = outcomes_by_day(record, timezone.localdate(), DAYS_SHOWN)
    versions = [Version(edit, _changes(edit)) for edit in PatternEdit.objects.filter(pattern=record)]
    context = {
        "row": row,
        "record": record,
        "arrows": arrows(row.mapping),
        "wholes": wholes(row.mapping),
        "examples": examples(record),
        "chart": outcome_bars(days),
        "versions": versions,
        "number": versions[0].edit.number if versions else 0,
        "form": form,
        "trial": trial,
        "outdated": outdated,
        "outdated_changes": _changes(outdated.newest) if outdated and outdated.newest else (),
        "may_edit": request.user.has_perm(MAY_EDIT),
        "may_use_admin": request.user.is_staff and request.user.has_perm(MAY_EDIT),
        "show_payloads": may_read_payloads(request.user),
        "least_to_launch": MIN_PROBABILITY,
        "least_if_long": LEAST_OF_ALL,
    }
    return render(request, "patterns/detail.html", context, status=status)


def _changes(edit: PatternEdit) -> list[tuple[str, str, str]]:
    return [
        (name.removesuffix("_override"), _told(name, edit.before), _told(name, edit.after))
        for name in pattern_edits.COLUMNS
        if edit.before.get(name) != edit.after.get(name)
    ]


def _told(name: str, word: Mapping[str, Any]) -> str:
    value = word.get(name)
    if name == "enabled":
        return "on" if value else "off"
    if value is None:
        return "as mined"
    return written(value) if isinstance(value, dict) else f"{value:g}"
