"""Who may do what: four roles, each with all that the one before it has. The one table of them; pure.

A permission is named as Django names it: `speculation.change_breaker`. Roles become groups of the same name, which
role_groups.py keeps as this table says.
"""

from collections.abc import Iterable
from dataclasses import dataclass

VIEWER, OPERATOR, APPROVER, ADMIN = "viewer", "operator", "approver", "admin"
VIEW_PAYLOADS = "speculation.view_payloads"
OURS, SEES = "speculation.", "speculation.view_"
PEOPLE = frozenset(f"auth.{verb}_{what}" for verb in ("add", "change", "delete", "view") for what in ("user", "group"))


@dataclass(frozen=True)
class Role:
    """`may`: in words, for pages. `adds`: what it may beyond the role before it."""

    name: str
    may: str
    adds: frozenset[str] = frozenset()


ROLES = (
    Role(VIEWER, "sees every page and the audit, without arguments, results and texts"),
    Role(
        OPERATOR,
        "reads arguments, results and texts; submits and stops sessions; switches and prices tools, pauses, resets and limits "
        "breakers, sets alerts, edits patterns",
        frozenset(
            {
                VIEW_PAYLOADS,
                "speculation.add_session",
                "speculation.change_session",
                "speculation.change_toolrecord",
                "speculation.change_agentprofile",
                "speculation.change_workerpool",
                "speculation.add_breaker",
                "speculation.change_breaker",
                "speculation.change_alertthreshold",
                "speculation.change_patternrecord",
            }
        ),
    ),
    Role(
        APPROVER,
        "decides which tools may run before they are asked for, and revokes",
        frozenset({"speculation.add_approval"}),
    ),
    Role(ADMIN, "sets everything up: agents, pools, API keys, people and their roles", PEOPLE),
)


def permissions_of(role: str, existing: Iterable[str]) -> frozenset[str]:
    """Those of the existing permissions that the role has: of ours and of Django's alike. Raises KeyError for no role."""
    there = frozenset(existing)
    if role == ADMIN:
        return frozenset(one for one in there if one.startswith(OURS)) | (PEOPLE & there)
    seen = frozenset(one for one in there if one.startswith(SEES)) - {VIEW_PAYLOADS}
    rank = {one.name: place for place, one in enumerate(ROLES)}[role]
    return seen.union(*(one.adds & there for one in ROLES[: rank + 1]))


def least_role(permission: str) -> str:
    """The first role that has it; empty where none has."""
    return next((role.name for role in ROLES if permission in permissions_of(role.name, [permission])), "")
