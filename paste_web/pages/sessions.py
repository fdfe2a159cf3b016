"""The list of sessions, and the form that submits a task."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET, require_http_methods

from speculation import queries
from speculation.agent import demo
from speculation.models import TAKE_NO_TASKS, AgentProfile, Arm, SessionStatus
from speculation.queries import NEWEST_FIRST, SESSIONS_A_PAGE, SORTS, SessionFilter
from speculation.submission import LONGEST_TASK_CHARACTERS, QueueFull, SubmissionRefused, submit_task

SPECULATION = [
    ("auto", "as the agent is set"),
    ("on", "with speculation"),
    ("off", "without speculation"),
    ("shadow", "shadow: predict, run nothing"),
]
FILTERS = {"q": "text", "agent": "agent", "status": "state", "arm": "speculation", "since": "from", "until": "to"}
MOMENTS = ("since", "until")
"""What cannot be read as one narrows nothing, so no chip says that it does."""
COLUMNS = [
    ("", "Session", ""),
    ("agent", "Agent", "later"),
    ("state", "State", ""),
    ("took", "Took", "number later"),
    ("", "Model, tools", "later"),
    ("turns", "Turns", "number later"),
    ("calls", "Calls", "number later"),
    ("saved", "Net saved", "number"),
    ("wasted", "Wasted", "number later"),
    ("submitted", "Submitted", "later"),
]
"""What it is sorted by (empty: not), its words, its classes."""


class SubmitForm(forms.Form):
    """A scripted agent offers its own tasks as a list; an agent with a real model takes free text."""

    template_name = "sessions/parts/submit.html"

    agent = forms.ModelChoiceField(
        AgentProfile.objects.exclude(model_kind__in=TAKE_NO_TASKS),
        to_field_name="name",
        empty_label=None,
        widget=forms.Select(
            attrs={"hx-get": reverse_lazy("session-form"), "hx-target": "#submit-form", "hx-swap": "outerHTML", "hx-include": "#submit-form"}
        ),
    )
    task = forms.CharField(max_length=LONGEST_TASK_CHARACTERS)
    speculation = forms.ChoiceField(choices=SPECULATION, initial="auto")

    def __init__(self, data: QueryDict | None = None, *, agent: AgentProfile, **kwargs: Any) -> None:
        super().__init__(data, initial={"agent": agent.name, **kwargs.pop("initial", {})}, **kwargs)
        tasks = demo.AGENTS[agent.script].tasks if agent.is_scripted else None
        if tasks is None:
            self.fields["task"].widget = forms.Textarea(attrs={"rows": 4})
        else:
            self.fields["task"] = forms.ChoiceField(
                choices=[(task, task) for task in tasks],
                help_text="A scripted model stands in for a real one here; it can only do these tasks.",
                error_messages={"invalid_choice": "Choose one of the agent's own tasks."},
            )
        self.order_fields(["agent", "task", "speculation"])


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _list(request, _form_for(request))
    if not request.user.has_perm("speculation.add_session"):
        return render(request, "403.html", status=403)
    agent = _agent(request.POST.get("agent", ""))
    if agent is None:
        messages.error(request, "There is no such agent any more.")
        return redirect("sessions")
    return _submit(request, SubmitForm(request.POST, agent=agent))


def _submit(request: HttpRequest, form: SubmitForm) -> HttpResponse:
    if form.is_valid():
        given = form.cleaned_data
        try:
            session = submit_task(given["agent"], given["task"], speculation=given["speculation"], user=request.user)
        except QueueFull as full:
            form.add_error("task", str(full))
            response = _list(request, form, status=429)
            response["Retry-After"] = str(full.retry_after_seconds)
            return response
        except SubmissionRefused as refusal:
            form.add_error("task", str(refusal))
        else:
            return redirect("session", session.pk)
    return _list(request, form, status=422)


@login_required
@require_GET
def submit_form(request: HttpRequest) -> HttpResponse:
    """The form again, for the agent just chosen; what was typed stays."""
    form = _form_for(request)
    return render(request, "sessions/parts/submit.html", {"form": form}) if form else HttpResponse(status=403)


def _form_for(request: HttpRequest) -> SubmitForm | None:
    """None: the reader may not submit, or there is no agent to submit to."""
    agent = _agent(request.GET.get("agent", "")) or AgentProfile.objects.exclude(model_kind__in=TAKE_NO_TASKS).first()
    if agent is None or not request.user.has_perm("speculation.add_session"):
        return None
    kept = {name: request.GET[name] for name in ("task", "speculation") if name in request.GET}
    return SubmitForm(agent=agent, initial=kept)


def _agent(name: str) -> AgentProfile | None:
    return AgentProfile.objects.exclude(model_kind__in=TAKE_NO_TASKS).filter(name=name.replace("\0", "")).first()


def _list(request: HttpRequest, form: SubmitForm | None, status: int = 200) -> HttpResponse:
    narrowed = narrowed_by(request.GET)
    page, size = _number(request, "page", 1), min(_number(request, "size", SESSIONS_A_PAGE), SESSIONS_A_PAGE)
    rows, total = queries.list_sessions(narrowed, page, size)
    if request.GET.get("part") == "rows":
        return render(request, "sessions/parts/rows.html", {"rows": rows})
    context = {
        "rows": rows,
        "total": total,
        "page": page,
        "previous": page - 1,
        "next": page + 1,
        "pages": Paginator(range(total), size).num_pages,
        "narrowed": narrowed,
        "typed": request.GET,
        "chips": _chips(request),
        "columns": _columns(request, narrowed.sort),
        "agents": AgentProfile.objects.all(),
        "statuses": SessionStatus.choices,
        "arms": Arm.choices,
        "learning": queries.learning_sentence(),
        "form": form,
        "no_form": _why_no_form(request),
    }
    return render(request, "sessions/list.html", context, status=status)


def narrowed_by(query: QueryDict) -> SessionFilter:
    """The filter that a query string asks for; what cannot be read narrows nothing."""
    sort = query.get("sort", NEWEST_FIRST)
    return SessionFilter(
        agent=_asked(query, "agent"),
        status=_asked(query, "status"),
        text=_asked(query, "q"),
        arm=_asked(query, "arm"),
        since=_moment(_asked(query, "since")),
        until=_moment(_asked(query, "until")),
        sort=sort if sort.removeprefix("-") in SORTS else NEWEST_FIRST,
    )


def _asked(query: QueryDict, name: str) -> str:
    """What a filter asks for, without what no text may hold; empty for one that narrows nothing."""
    return query.get(name, "").replace("\0", "").strip()


def _moment(text: str) -> datetime | None:
    """`2026-11-24T14:00`, in the server's time zone where it names none; None where it is no moment."""
    try:
        moment = parse_datetime(text.replace(" ", "T"))
    except ValueError:
        return None
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment


def _columns(request: HttpRequest, sort: str) -> list[dict[str, str]]:
    """The heads of the table, each with the address that sorts by it: the highest first, then the lowest."""
    heads = []
    for key, label, classes in COLUMNS:
        query = request.GET.copy()
        query.pop("page", None)
        query["sort"] = key if sort == f"-{key}" else f"-{key}"
        order = {f"-{key}": "descending", key: "ascending"}.get(sort, "") if key else ""
        heads.append({"label": label, "classes": classes, "order": order, "url": f"?{query.urlencode()}" if key else ""})
    return heads


def _number(request: HttpRequest, name: str, otherwise: int) -> int:
    text = request.GET.get(name, "")
    return max(1, int(text)) if text.isdecimal() and len(text) < 7 else otherwise


def _why_no_form(request: HttpRequest) -> str:
    if request.user.has_perm("speculation.add_session"):
        return "There is no agent yet. Add one in the admin, or start the demo."
    return "Submitting tasks needs the permission add_session; an administrator can give it."


def _chips(request: HttpRequest) -> list[dict[str, str]]:
    """What narrows the list, each with the address that removes it."""
    chips = []
    for name in FILTERS:
        if (value := _asked(request.GET, name)) and (name not in MOMENTS or _moment(value)):
            rest = request.GET.copy()
            del rest[name]
            rest.pop("page", None)
            chips.append({"label": f"{FILTERS[name]}: {value}", "url": f"?{rest.urlencode()}"})
    return chips
