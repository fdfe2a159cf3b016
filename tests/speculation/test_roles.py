"""Roles: what each may, and that the groups say the same, also after a flush."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission, User

from speculation.role_groups import keep_roles
from speculation.roles import ADMIN, APPROVER, OPERATOR, ROLES, VIEW_PAYLOADS, VIEWER, least_role, permissions_of

ROOT = Path(__file__).resolve().parent.parent.parent
OUR_PERMISSION = re.compile(r"""["'](speculation\.(?:add|change|delete|view)_[a-z]+)["']""")
IN_TEMPLATES = re.compile(r"perms\.(speculation\.(?:add|change|delete|view)_[a-z]+)")


def existing() -> set[str]:
    pairs = Permission.objects.values_list("content_type__app_label", "codename")
    return {f"{app}.{name}" for app, name in pairs}


def asked_for() -> set[str]:
    """Every permission that a page, the admin or a template names."""
    code = [
        path.read_text()
        for folder in ("paste_web", "speculation")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "roles.py"
    ]
    templates = [path.read_text() for path in (ROOT / "templates").rglob("*.html")]
    found = {name for text in code for name in OUR_PERMISSION.findall(text)}
    return found | {name for text in templates for name in IN_TEMPLATES.findall(text)}


def test_each_role_has_all_that_the_one_before_it_has() -> None:
    some = [
        "speculation.view_session",
        VIEW_PAYLOADS,
        "speculation.add_session",
        "speculation.add_approval",
        "auth.add_user",
    ]
    may = [permissions_of(role.name, some) for role in ROLES]
    assert [len(one) for one in may] == [1, 3, 4, 5]
    assert all(smaller < larger for smaller, larger in pairwise(may))


def test_a_viewer_may_change_nothing_and_read_no_payload() -> None:
    every = [
        "speculation.view_session",
        "speculation.change_session",
        "speculation.delete_session",
        VIEW_PAYLOADS,
        "auth.view_user",
    ]
    assert permissions_of(VIEWER, every) == {"speculation.view_session"}


def test_only_what_exists_is_given_and_no_other_role_is_known() -> None:
    assert permissions_of(OPERATOR, []) == frozenset()
    with pytest.raises(KeyError):
        permissions_of("owner", [])


@pytest.mark.parametrize(
    ("permission", "role"),
    [
        ("speculation.view_auditentry", VIEWER),
        (VIEW_PAYLOADS, OPERATOR),
        ("speculation.change_workerpool", OPERATOR),
        ("speculation.add_approval", APPROVER),
        ("speculation.add_apikey", ADMIN),
        ("auth.change_user", ADMIN),
        ("auth.add_permission", ""),
    ],
)
def test_each_permission_has_a_least_role(permission: str, role: str) -> None:
    assert least_role(permission) == role


@pytest.mark.django_db
def test_every_permission_that_a_page_asks_for_exists_and_is_in_some_role() -> None:
    there, asked = existing(), asked_for()
    assert len(asked) >= 10
    assert asked - there == set(), "a permission that does not exist is refused to everybody"
    assert {one for one in asked if not least_role(one)} == set()
    named = set().union(*(role.adds for role in ROLES))
    assert named - there == set()


@pytest.mark.django_db
def test_a_viewer_in_the_database_may_only_look() -> None:
    user = User.objects.create_user("eve")
    user.groups.add(Group.objects.get(name=VIEWER))
    assert {one.split(".")[1].split("_")[0] for one in user.get_all_permissions()} == {"view"}
    assert not user.has_perm(VIEW_PAYLOADS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", ["first", "after a flush"])
def test_the_groups_are_there_with_exactly_their_permissions(time: str) -> None:
    there = existing()
    for role in ROLES:
        held = Group.objects.get(name=role.name).permissions.values_list("content_type__app_label", "codename")
        assert {f"{app}.{name}" for app, name in held} == permissions_of(role.name, there)


@pytest.mark.django_db
def test_what_was_added_to_a_role_by_hand_goes_with_the_next_migration() -> None:
    viewer, own = Group.objects.get(name=VIEWER), Group.objects.create(name="night shift")
    may_decide = Permission.objects.get(codename="add_approval")
    for group in (viewer, own):
        group.permissions.add(may_decide)
    viewer.permissions.remove(Permission.objects.get(codename="view_session", content_type__app_label="speculation"))
    keep_roles(using="default")
    assert may_decide not in viewer.permissions.all() and may_decide in own.permissions.all()
    assert viewer.permissions.filter(codename="view_session", content_type__app_label="speculation").exists()
