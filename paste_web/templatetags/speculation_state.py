"""The state of speculation as every page shows it, and who may pause it."""

from typing import Any

from django import template

from paste_web.pages.pausing import PERMISSIONS
from speculation import overall_state

register = template.Library()
SIGNS = {"on": "▶", "canary": "◐", "paused": "‖"}
CLASSES = {"on": "on", "canary": "on", "paused": "warn"}


@register.simple_tag(takes_context=True)
def speculation_now(context: dict[str, Any]) -> dict[str, Any]:
    """`back`: the page to return to, empty where going there again would do something."""
    user, request = context["user"], context["request"]
    state = overall_state.overall_state()
    return {
        "word": str(state.overall),
        "sign": SIGNS[state.overall],
        "style": CLASSES[state.overall],
        "reason": state.reason or ("a share of the sessions alone" if state.overall == "canary" else ""),
        "may_pause": user.has_perm(PERMISSIONS["all"]),
        "is_paused": state.overall == "paused",
        "is_paused_by_hand": state.is_paused_by_hand,
        "back": request.get_full_path() if request.method == "GET" else "",
    }
