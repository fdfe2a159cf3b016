"""Connect: how to plug an agent or a program in, keys for programs, and whether the first call came."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from paste_web.mcp_address import mcp_path
from paste_web.mcp_snippets import mcp_snippets, mcp_test_call
from paste_web.session_view import may_read_payloads
from paste_web.snippets import KEY_VARIABLE, curl_snippet, python_snippet, test_call_snippet
from speculation import access
from speculation.agent import demo
from speculation.models import TAKE_NO_TASKS, AgentProfile, ApiKey, ModelKind
from speculation.roles import least_role

KEYS_A_PAGE = 50
LONGEST_DAYS = 3650
MAY_SEE, MAY_MAKE, MAY_REVOKE = "speculation.view_apikey", "speculation.add_apikey", "speculation.change_apikey"
STOP_ASKING = 286
"""The status that htmx takes for: swap this in, and poll no more."""
NO_AGENT, ANY_TASK = "your-agent", "What is to be done, in your own words."
CREATED, REVOKED = "Made on the page Connect.", "Revoked on the page Connect."


class KeyForm(forms.Form):
    """A key reads no more than whoever makes it: all tasks only where payloads may be read."""

    name = forms.CharField(
        max_length=access.LONGEST_NAME_CHARACTERS,
        label="Name",
        help_text="What it is for: the audit and this list name it.",
    )
    scopes = forms.MultipleChoiceField(
        label="May", widget=forms.CheckboxSelectMultiple, initial=[access.WRITE, access.READ]
    )
    days = forms.IntegerField(
        required=False, min_value=1, max_value=LONGEST_DAYS, label="Ends after, in days", help_text="Empty: never."
    )

    def __init__(self, *arguments: Any, user: AbstractBaseUser | AnonymousUser) -> None:
        super().__init__(*arguments, use_required_attribute=False)
        offered = [one for one in access.SCOPES if one != access.READ_ALL or may_read_payloads(user)]
        self.fields["scopes"].choices = [(scope, access.SCOPES[scope]) for scope in offered]
        self.fields["name"].widget.attrs["autocomplete"] = "off"

    def clean_name(self) -> str:
        """Two valid keys of one name could not be told apart; it also makes sending the form twice harmless."""
        name = str(self.cleaned_data["name"])
        if access.valid_keys().filter(name=name).exists():
            raise forms.ValidationError("There is a valid key of this name. Choose another, or revoke that one first.")
        return name


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    """`?agent=` chooses whom the lines submit to, `?remote=` whose tools the lines for MCP call.

    A POST makes a key and answers with its text, this one time.
    """
    if request.method != "POST":
        return _page(request)
    if not request.user.has_perm(MAY_MAKE):
        return render(request, "403.html", status=403)
    form = KeyForm(request.POST, user=request.user)
    if form.is_valid():
        try:
            key, text = _make(form, request.user)
        except access.KeyRefused as refused:
            form.add_error("name", str(refused))
        else:
            return _page(request, made=key, text=text)
    return _page(request, form=form, status=422)


def _make(form: KeyForm, user: Any) -> tuple[ApiKey, str]:
    given = form.cleaned_data
    expires_at = timezone.now() + timedelta(days=given["days"]) if given["days"] else None
    who = user.get_username()
    return access.create_key(given["name"], given["scopes"], who=who, user=user, expires_at=expires_at, why=CREATED)


@require_POST
@permission_required(MAY_REVOKE, raise_exception=True)
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """One press; from the next request on the key is refused."""
    key = get_object_or_404(ApiKey, pk=key_id)
    if access.revoke_key(key, who=request.user.get_username(), user=request.user, why=REVOKED):
        messages.success(request, f"Revoked: {key}. The API refuses it from now on; tasks that it submitted go on.")
    else:
        messages.info(request, f"{key} was revoked before.")
    return redirect("connect")


@login_required
@require_GET
@permission_required(MAY_SEE, raise_exception=True)
def first_call(request: HttpRequest, key_id: int) -> HttpResponse:
    """What the page asks every 2 s: nothing new, or how it ended, and then it asks no more."""
    context = _waiting(get_object_or_404(ApiKey, pk=key_id))
    if context["is_waiting"]:
        return HttpResponse(status=204)
    return render(request, "connect/first_call.html", context, status=STOP_ASKING)


def _waiting(key: ApiKey | None) -> dict[str, Any]:
    """`is_waiting`: the key has made no call yet, and still can."""
    state = access.state_of(key, timezone.now()) if key else None
    is_waiting = key is not None and key.last_used_at is None and state == access.KeyState.VALID
    may_read, may_call = (key is not None and access.may(key, scope) for scope in (access.READ, access.CALL))
    return {
        "awaited": key,
        "state": state,
        "is_waiting": is_waiting,
        "may_read": may_read,
        "only_calls": may_call and not may_read,
    }


def _page(
    request: HttpRequest, *, form: KeyForm | None = None, made: ApiKey | None = None, text: str = "", status: int = 200
) -> HttpResponse:
    """`made`, `text`: the key just made, in the one answer that holds it: no cache may keep that."""
    user, now = request.user, timezone.now()
    may_see = user.has_perm(MAY_SEE)
    page = Paginator(access.listed_keys() if may_see else ApiKey.objects.none(), KEYS_A_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        **_lines(request),
        **_mcp_lines(request),
        **_waiting(made or _newest_unused() if may_see else None),
        "form": form or (KeyForm(user=user) if user.has_perm(MAY_MAKE) else None),
        "made": made,
        "text": text,
        "page": page,
        "keys": [(key, access.state_of(key, now)) for key in page.object_list],
        "scopes": access.SCOPES,
        "may_see": may_see,
        "may_revoke": user.has_perm(MAY_REVOKE),
        "role_that_makes": least_role(MAY_MAKE),
    }
    response = render(request, "connect/page.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _newest_unused() -> ApiKey | None:
    return access.valid_keys().filter(last_used_at=None).order_by("-created_at").first()


def _lines(request: HttpRequest) -> dict[str, Any]:
    """The lines for the chosen agent, else the first; with a task that it can do, a scripted one only its own."""
    agents = list(AgentProfile.objects.exclude(model_kind__in=TAKE_NO_TASKS))
    agent = _chosen(agents, request.GET.get("agent", ""))
    tasks = demo.AGENTS[agent.script].tasks if agent and agent.is_scripted and agent.script in demo.AGENTS else []
    api_url = request.build_absolute_uri(reverse("api-1:api-root"))
    told = (api_url, agent.name if agent else NO_AGENT, tasks[0] if tasks else ANY_TASK)
    return {
        "agents": agents,
        "agent": agent,
        "api_url": api_url,
        "key_variable": KEY_VARIABLE,
        "curl": curl_snippet(*told),
        "python": python_snippet(*told),
        "test_call": test_call_snippet(api_url),
    }


def _mcp_lines(request: HttpRequest) -> dict[str, Any]:
    """The endpoint of the chosen agent that runs elsewhere, else of the first, and the lines for it."""
    remotes = list(AgentProfile.objects.filter(model_kind=ModelKind.REMOTE))
    remote = _chosen(remotes, request.GET.get("remote", ""))
    if remote is None:
        return {"remotes": []}
    url = request.build_absolute_uri(mcp_path(remote.name))
    tools = list(remote.tools.values_list("name", flat=True).order_by("name"))
    return {
        "remotes": remotes,
        "remote": remote,
        "mcp_url": url,
        "mcp_snippets": mcp_snippets(url),
        "mcp_tools": tools,
        "mcp_test_call": mcp_test_call(url),
    }


def _chosen(agents: list[AgentProfile], name: str) -> AgentProfile | None:
    return next((one for one in agents if one.name == name), agents[0] if agents else None)
