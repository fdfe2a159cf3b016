"""Roles in words: for whoever was refused."""

from typing import Any

from django import template

from speculation.roles import ROLES, Role

register = template.Library()


@register.simple_tag
def all_roles() -> tuple[Role, ...]:
    return ROLES


@register.simple_tag(takes_context=True)
def my_roles(context: dict[str, Any]) -> list[str]:
    """Names of the reader's groups, the roles among them in their order."""
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.is_authenticated:
        return []
    held = set(user.groups.values_list("name", flat=True))
    ordered = [role.name for role in ROLES if role.name in held]
    return ordered + sorted(held.difference(ordered))
