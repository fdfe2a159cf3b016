"""The roles of roles.py as Django groups, made right after every migration and flush: new models bring new permissions.

A group with a role's name holds exactly what its role says; for anything else, make a group of another name.
"""

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps

from speculation.roles import ROLES, permissions_of


def keep_roles(*, using: str, apps: Apps = installed, **_told: Any) -> None:
    """Receiver of post_migrate, after Django's own has made the permissions. Costs five statements."""
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    ids = {
        f"{app}.{name}": pk for app, name, pk in permissions.values_list("content_type__app_label", "codename", "pk")
    }
    groups = _groups(using, apps)
    wanted = {(groups[role.name], ids[one]) for role in ROLES for one in permissions_of(role.name, ids)}
    _store(apps.get_model("auth", "Group").permissions.through, using, list(groups.values()), wanted)


def _groups(using: str, apps: Apps) -> dict[str, int]:
    """Name -> id, each there from now on."""
    model = apps.get_model("auth", "Group")
    names = [role.name for role in ROLES]
    model.objects.using(using).bulk_create([model(name=name) for name in names], ignore_conflicts=True)
    return dict(model.objects.using(using).filter(name__in=names).values_list("name", "pk"))


def _store(through: Any, using: str, groups: list[int], wanted: set[tuple[int, int]]) -> None:
    held = {
        (group, permission): pk
        for pk, group, permission in through.objects.using(using)
        .filter(group__in=groups)
        .values_list("pk", "group_id", "permission_id")
    }
    rows = [through(group_id=group, permission_id=permission) for group, permission in sorted(wanted - held.keys())]
    through.objects.using(using).bulk_create(rows, ignore_conflicts=True)
    if surplus := [pk for pair, pk in held.items() if pair not in wanted]:
        through.objects.using(using).filter(pk__in=surplus).delete()
