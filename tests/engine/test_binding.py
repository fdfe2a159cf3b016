"""Making a likely tool concrete: what is found does not depend on who asked before."""

from speculation.engine.binding import HOPELESS, Offers, bind
from speculation.engine.memory import Memory
from speculation.engine.priors import Priors
from speculation.engine.types import Event
from tests.engine.sessions import TOOLS, call, mine, research, user

TOPICS = ("bears", "whales", "owls", "foxes")


def read_twice(topic: str, pages: list[str]) -> list[Event]:
    """Research that opens its first page once more at the end."""
    events = research(topic, pages)
    again = call(len(pages) + 2, "fetch", "once more", url=f"https://example.org/{pages[0]}")
    return [*events[:-1], *again]


def standing(events: list[Event]) -> tuple[Priors, Offers, list[tuple[str, ...]]]:
    priors = Priors(mine(*(read_twice(topic, [f"{topic}{n}" for n in range(4)]) for topic in TOPICS)), 400.0)
    memory = Memory()
    for event in events:
        memory.observe(event, TOOLS.get(event.tool))
    return priors, Offers(memory), priors.contexts(memory.signatures)


def said(events: list[Event], is_hopeless: bool) -> tuple[dict[str, float], str]:
    priors, offers, contexts = standing(events)
    found, reason = bind(priors, offers, contexts, "fetch", False, lambda most: is_hopeless)
    return {str(one.arguments["url"]): one.next for one in found}, reason


def test_a_call_again_is_as_likely_whether_the_others_are_worth_a_look_or_not() -> None:
    begun = read_twice("newts", [f"newts{n}" for n in range(4)])[:-4]
    looked_at, reason = said(begun, is_hopeless=False)
    assert len(looked_at) > 2 and reason != HOPELESS
    assert said(begun, is_hopeless=True)[0] == looked_at


def test_what_is_hopeless_from_the_first_is_not_looked_at() -> None:
    begun = [
        user("Find out about newts"),
        *call(1, "search", {"hits": [{"url": "https://example.org/newts0"}]}, query="newts"),
    ]
    assert said(begun, is_hopeless=True) == ({}, HOPELESS)
    assert said(begun, is_hopeless=False)[0]
