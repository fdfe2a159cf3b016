"""Waits until each worker has answered once. Who stays silent says where it stands, and is started again."""

import signal
import time
from collections.abc import Callable, Collection

from paste_web import celery_app
from paste_web.chaos.crew import Crew, Member
from paste_web.progress import say

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
"""Ten times as long as a worker's start takes on two busy cores."""
LONGEST_SECONDS = 180.0
WRITING_SECONDS = 5.0
LAST_LINES = 40


class NoAnswer(Exception):
    """Workers that did not answer in time; the message names them."""


def who_answers() -> Collection[str]:
    """The names of the workers that take commands."""
    with celery_app.connection_for_write() as connection:  # a new one: nothing of an earlier question is left in it
        answers = celery_app.control.ping(timeout=1, connection=connection)
    return {node.partition("@")[0] for answer in answers for node in answer}


def wait_for_all(
    hands: Crew,
    ask: Callable[[], Collection[str]] = who_answers,
    patience_seconds: float = PATIENCE_SECONDS,
    longest_seconds: float = LONGEST_SECONDS,
) -> float:
    """In how many seconds after its start the slowest worker answered. Raises NoAnswer."""
    took: dict[str, float] = {}
    deadline = time.monotonic() + longest_seconds
    while silent := [member for member in hands.victims if member.program.name not in took]:
        answering = ask()
        now = time.monotonic()
        took |= {one.program.name: now - one.started_at for one in silent if one.program.name in answering}
        still = [member for member in silent if member.program.name not in took]
        if still and now > deadline:
            raise NoAnswer(
                f"No answer within {longest_seconds:g} s from {', '.join(one.program.name for one in still)}."
            )
        for member in still:
            if member.is_gone or now - member.started_at > patience_seconds:
                _start_again(hands, member)
        if still:
            time.sleep(LOOK_SECONDS)
    return max(took.values(), default=0.0)


def _start_again(hands: Crew, member: Member) -> None:
    """Its log's end goes to the terminal: as the crew starts workers, an abort writes what each thread was doing."""
    was = "ended" if member.is_gone else f"said nothing for {time.monotonic() - member.started_at:.0f} s"
    member.signal_alone(signal.SIGABRT)
    _wait_until_gone(member, WRITING_SECONDS)
    member.signal_all(signal.SIGKILL)
    _wait_until_gone(member, WRITING_SECONDS)
    say(f"{member.program.name} {was} at its start, and is started again. Its last words:")
    say(hands.last_words(member, LAST_LINES))
    hands.restart_the_gone()


def _wait_until_gone(member: Member, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not member.is_gone and time.monotonic() < deadline:
        time.sleep(0.01)
