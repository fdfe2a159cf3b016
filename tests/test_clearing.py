"""What the tests' own tidying up leaves: the tables as they were after the migrations."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import TransactionTestCase

from speculation.models import AgentProfile
from tests.clearing import Clearing

pytestmark = pytest.mark.django_db(transaction=True)


class Counting:
    """Django's own flush, counted."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, test: TransactionTestCase) -> None:
        self.times += 1


def test_rows_are_removed_and_what_migrating_fills_stays() -> None:
    flush = Counting()
    clearing = Clearing(flush)
    agent = AgentProfile.objects.create(name="left behind")
    agent.tools.create(name="read_file", definition_hash="a" * 64)
    User.objects.create_user("someone").groups.add(Group.objects.first())
    before = [model.objects.count() for model in (Group, Permission, ContentType)]
    clearing.clear(TransactionTestCase())
    assert not AgentProfile.objects.exists() and not User.objects.exists()
    assert [model.objects.count() for model in (Group, Permission, ContentType)] == before
    assert all(before) and flush.times == 0


def test_a_test_that_changes_what_migrating_fills_is_followed_by_the_whole_flush() -> None:
    flush = Counting()
    clearing = Clearing(flush)
    Group.objects.first().permissions.clear()
    clearing.clear(TransactionTestCase())
    assert flush.times == 1
