"""Made-up sessions for measuring costs, never for measuring how often guesses are right. Pure; the seed is an argument.

`sessions` is one agent that does three kinds of work: it looks after customers' orders, searches and reads pages, and mends
code. In size they are like recorded ones (7 calls a session, results of 500 characters): results are JSON, lists, mappings and
plain text; values come from the user's words, from results and from earlier calls. Every session has ids, paths and words of
its own, so nothing that was worked out for one can be kept for the next.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from speculation.engine.types import Event, EventKind, ToolTraits

_READS = (
    "find_customer",
    "get_customer",
    "get_order",
    "get_product",
    "search_pages",
    "view_sections",
    "read_section",
    "search_code",
    "read_file",
    "run_tests",
)
_WRITES = ("cancel_order", "change_order", "edit_file")
TOOLS: Mapping[str, ToolTraits] = {
    **{name: ToolTraits(name, reads_only=True, changes_world=False) for name in _READS},
    **{name: ToolTraits(name, reads_only=False, changes_world=True) for name in _WRITES},
}
"""What the tools of `sessions` do."""

_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwxyz", "aeiou"
_TEXT = (
    "the of and to in that with from this which were after when under between small large early later common known part "
    "order state system record value change number place water light model field river house letter season paper"
)
_PROSE = _TEXT.split()


class Script:
    """A session being written: events in order, on a clock of its own. Model turns take 1 to 4 s, calls 0.3 to 1.5 s."""

    def __init__(self, rng: random.Random) -> None:
        self.events: list[Event] = []
        self._rng = rng
        self._turn = 0
        self._clock = 0.0

    def user_says(self, text: str) -> None:
        self.events.append(Event(EventKind.USER, text=text, started_at=self._clock, ended_at=self._clock))

    def model_says(self, text: str) -> None:
        """A model turn, for the calls that follow."""
        self._turn += 1
        began_at, self._clock = self._clock, self._clock + self._rng.uniform(1.0, 4.0)
        self.events.append(Event(EventKind.LLM, self._turn, text, started_at=began_at, ended_at=self._clock))

    def calls(self, tool: str, result: Any, **arguments: Any) -> None:
        """A model turn without words that makes this one call."""
        self.model_says("")
        self.also_calls(tool, result, **arguments)

    def also_calls(self, tool: str, result: Any, **arguments: Any) -> None:
        """One more call of the same turn. A result that is no text is written as JSON, as tools do."""
        text = result if isinstance(result, str) else json.dumps(result)
        began_at, self._clock = self._clock, self._clock + self._rng.uniform(0.3, 1.5)
        self.events.append(
            Event(
                EventKind.TOOL,
                self._turn,
                tool=tool,
                status="ok",
                arguments=arguments,
                result=text,
                started_at=began_at,
                ended_at=self._clock,
            )
        )


def sessions(seed: int | str) -> Iterator[list[Event]]:
    """Without end: support, research and coding in turn. The same seed gives the same sessions."""
    rng = random.Random(f"sessions {seed}")
    kinds: Sequence[Callable[[random.Random], list[Event]]] = (support, research, coding)
    while True:
        for kind in kinds:
            yield kind(rng)


def word(rng: random.Random) -> str:
    """A made-up word; that two are the same is as good as impossible within a session."""
    return "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(4))


def prose(rng: random.Random, words: int) -> str:
    """Common words with one in ten made up."""
    return " ".join(word(rng) if rng.random() < 0.1 else rng.choice(_PROSE) for _ in range(words))


def digits(rng: random.Random, count: int = 7) -> str:
    return str(rng.randrange(10 ** (count - 1), 10**count))


def support(rng: random.Random) -> list[Event]:
    """A customer is found, some orders and products are looked at one after the other, one order is changed."""
    script, name = Script(rng), word(rng)
    user_id, email = f"{name}_{digits(rng, 4)}", f"{name}@{word(rng)}.example"
    orders = [f"#W{digits(rng)}" for _ in range(rng.randint(2, 5))]
    knows_id = rng.random() < 0.4
    script.user_says(f"Hello, my {'user id is ' + user_id if knows_id else 'e-mail is ' + email}. {prose(rng, 20)}.")
    if not knows_id:
        script.calls("find_customer", user_id, email=email)
    script.calls("get_customer", _customer(rng, user_id, email, orders), user_id=user_id)
    for order_id in orders[: rng.randint(1, len(orders))]:
        items = [f"{digits(rng, 10)}" for _ in range(rng.randint(1, 3))]
        script.calls("get_order", _order(rng, order_id, user_id, items), order_id=order_id)
        if rng.random() < 0.5:
            script.calls("get_product", _product(rng, items[0]), product_id=items[0])
    script.model_says(prose(rng, 40))
    script.user_says(f"Yes, please do that for {order_id}. {prose(rng, 8)}.")
    if rng.random() < 0.5:
        script.calls(
            "cancel_order", {"order_id": order_id, "status": "cancelled"}, order_id=order_id, reason="no longer needed"
        )
    else:
        script.calls("change_order", {"order_id": order_id, "status": "changed"}, order_id=order_id, item_ids=items)
    script.model_says(prose(rng, 20))
    return script.events


def _customer(rng: random.Random, user_id: str, email: str, orders: Sequence[str]) -> dict[str, Any]:
    payments = {f"card_{digits(rng)}": {"source": "card", "last_four": digits(rng, 4)} for _ in range(2)}
    return {
        "user_id": user_id,
        "name": {"first": word(rng), "last": word(rng)},
        "address": {"street": f"{digits(rng, 3)} {word(rng)} street", "city": word(rng), "zip": digits(rng, 5)},
        "email": email,
        "payment_methods": payments,
        "orders": list(orders),
    }


def _order(rng: random.Random, order_id: str, user_id: str, items: Sequence[str]) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "user_id": user_id,
        "status": rng.choice(["pending", "processed", "delivered"]),
        "items": [
            {"product_id": item, "name": word(rng), "price": rng.randrange(500, 50_000) / 100, "note": prose(rng, 12)}
            for item in items
        ],
        "history": [
            {"at": f"2024-05-{rng.randint(10, 28)}T10:00:00", "amount": rng.randrange(9000) / 100} for _ in items
        ],
    }


def _product(rng: random.Random, product_id: str) -> dict[str, Any]:
    variants = {
        digits(rng, 10): {"available": rng.random() < 0.7, "color": word(rng)} for _ in range(rng.randint(3, 8))
    }
    return {"product_id": product_id, "name": word(rng), "variants": variants}


def research(rng: random.Random) -> list[Event]:
    """A question is searched for, pages are opened by rank and their sections read, then searched for again."""
    script, topic = Script(rng), [word(rng), word(rng)]
    script.user_says(f"What is known of {' '.join(topic)}? {prose(rng, 15)}.")
    for _ in range(rng.randint(1, 3)):
        query = f"{rng.choice(topic)} {word(rng)}"
        pages = [f"{word(rng)}_{word(rng)}" for _ in range(5)]
        hits = [{"page_id": page, "title": page.replace("_", " "), "snippet": prose(rng, 14)} for page in pages]
        script.calls("search_pages", hits, query=query, limit=5)
        for page in rng.sample(pages[:3], rng.randint(1, 2)):
            sections = [f"{page}:{word(rng)}" for _ in range(rng.randint(4, 9))]
            lines = "\n".join(f"{number}. {section}" for number, section in enumerate(sections, start=1))
            script.calls("view_sections", lines, page_id=page)
            section = rng.choice(sections[:3])
            script.calls("read_section", prose(rng, rng.randint(80, 300)), section_id=section)
    script.model_says(prose(rng, 60))
    return script.events


def coding(rng: random.Random) -> list[Event]:
    """Tests fail, a name in their output is searched for, files from both are read, one is edited, tests run again."""
    script, package, name = Script(rng), word(rng), word(rng)
    files = [f"src/{package}/{word(rng)}.py" for _ in range(rng.randint(2, 5))]
    command = f"pytest tests/{package} -q"
    script.user_says(f"`{name}` in {files[0]} is wrong: {prose(rng, 25)}.")
    script.calls("run_tests", _failure(rng, files, name), command=command)
    script.calls("search_code", "\n".join(f"{f}:{digits(rng, 3)}: {name}({word(rng)})" for f in files), pattern=name)
    for path in files[: rng.randint(1, len(files))]:
        script.calls("read_file", _code(rng), path=path)
    for path in files[: rng.randint(1, 2)]:
        old, new = f"return {word(rng)}", f"return {word(rng)}"
        script.calls("edit_file", f"Changed {path}", path=path, old=old, new=new)
        script.calls(
            "run_tests", "1 passed in 0.1s" if rng.random() < 0.6 else _failure(rng, files, name), command=command
        )
    script.model_says(prose(rng, 30))
    return script.events


def _failure(rng: random.Random, files: Sequence[str], name: str) -> str:
    frames = "\n".join(f'  File "{path}", line {digits(rng, 3)}, in {name}\n    {word(rng)}()' for path in files)
    return f"Traceback (most recent call last):\n{frames}\nValueError: {prose(rng, 6)}\n1 failed in 0.2s"


def _code(rng: random.Random) -> str:
    return "\n\n".join(
        f"def {word(rng)}({word(rng)}):\n    {word(rng)} = {word(rng)}.{word(rng)}({digits(rng, 3)})\n    return {word(rng)}"
        for _ in range(rng.randint(4, 16))
    )
