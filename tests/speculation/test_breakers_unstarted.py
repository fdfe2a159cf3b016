"""Where no worker begins guesses, none are made: else their messages would pile up at the broker."""

from datetime import timedelta

import pytest

from speculation import breakers, recovery
from speculation.breakers_open import open_now
from speculation.models import ToolJob
from tests.speculation.breaking import running, set_default_limits
from tests.speculation.conftest import Desk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def default_limits(transactional_db: None) -> None:
    set_default_limits()


def never_begun(desk: Desk, *paths: str) -> list[ToolJob]:
    """Guesses whose time to start went by, as the sweep finds them."""
    found = [desk.speculate(path, start_within_seconds=-1.0) for path in paths]
    return [job for job in found if job is not None]


def opened_by_a_sweep() -> list[tuple[str, str, str]]:
    recovery.sweep()
    return [(opening.kind, opening.scope, opening.reason) for opening in breakers.watch()]


def test_guesses_that_no_worker_begins_switch_all_of_them_off(desk: Desk) -> None:
    never_begun(desk, "a.txt", "b.txt")
    assert opened_by_a_sweep() == [], "two may be late"
    (late,) = never_begun(desk, "c.txt")
    reason = "no worker began 3 guesses in a minute, nor any after them: perhaps no worker of guesses runs"
    assert opened_by_a_sweep() == [("unstarted", "all", reason)]
    late.refresh_from_db()
    assert (late.status, late.end_reason) == ("preempted", "not started in time")
    opening = open_now().get()
    assert opening.open_until - opening.opened_at == timedelta(seconds=120)


@pytest.mark.parametrize("is_asked_for", [False, True], ids=["that nobody asks for", "that a call joins"])
def test_a_worker_that_has_begun_a_later_guess_is_only_slow(desk: Desk, is_asked_for: bool) -> None:
    never_begun(desk, "a.txt", "b.txt", "c.txt")
    later = running(desk, "d.txt", seconds=0)
    assert not is_asked_for or desk.promote(later)
    assert opened_by_a_sweep() == []


def test_a_worker_that_begins_calls_may_be_none_of_guesses(desk: Desk) -> None:
    never_begun(desk, "a.txt", "b.txt", "c.txt")
    raised = desk.speculate("d.txt")
    assert raised is not None and desk.promote(raised) and desk.start(raised)
    assert [kind for kind, *_ in opened_by_a_sweep()] == ["unstarted"]
