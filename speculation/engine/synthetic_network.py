"""An agent with very many habits, for measuring what many patterns cost. Pure; seeds are arguments.

Its tools are a network: each gives ids that a few others ask for, and is followed by one of those, the first of them most
often. Contexts of up to four tools are therefore many, and mining finds new ones for as long as it goes on; how many patterns
there are is only a matter of how many sessions were mined.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

from speculation.engine.synthetic import Script, digits, prose, word
from speculation.engine.types import Event, ToolTraits

TOOL_COUNT = 150
FOLLOWERS = 10
"""Tools that one tool's ids lead to; the n-th follows in proportion to 1 / n."""
WRITES_EVERY = 6
"""One tool in so many changes the world."""


class Network:
    """The agent: `tools` is what its tools do, `sessions` what it was seen doing."""

    def __init__(self, seed: int | str, tool_count: int = TOOL_COUNT) -> None:
        rng = random.Random(f"network {seed}")
        nouns = [f"{word(rng)}{number}" for number in range(tool_count)]
        self._asks = {f"get_{noun}": f"{noun}_id" for noun in nouns}
        names = list(self._asks)
        self._followers = {name: rng.sample(names, min(FOLLOWERS, tool_count)) for name in names}
        self._seed = seed
        self.tools: Mapping[str, ToolTraits] = {name: _traits(name, number) for number, name in enumerate(names)}

    def sessions(self, seed: int | str) -> Iterator[list[Event]]:
        """Without end. Ids and words are those of one session alone; another seed gives others."""
        rng = random.Random(f"network {self._seed} sessions {seed}")
        while True:
            yield self._session(rng)

    def _session(self, rng: random.Random) -> list[Event]:
        script, tool = Script(rng), rng.choice(list(self._asks))
        asked = self._id(rng, tool)
        script.user_says(f"Look at {asked}. {prose(rng, 12)}.")
        for _ in range(rng.randint(6, 16)):
            followers = self._followers[tool]
            ids = {follower: [self._id(rng, follower) for _ in range(rng.randint(1, 3))] for follower in followers}
            script.calls(tool, self._result(rng, asked, ids), **{self._asks[tool]: asked})
            tool = _one_of(rng, followers)
            asked = ids[tool][0]
        script.model_says(prose(rng, 20))
        return script.events

    def _id(self, rng: random.Random, tool: str) -> str:
        return f"{self._asks[tool][:2].upper()}-{digits(rng)}"

    def _result(self, rng: random.Random, asked: str, ids: Mapping[str, Sequence[str]]) -> dict[str, object]:
        links = {self._asks[tool]: found[0] if len(found) == 1 else list(found) for tool, found in ids.items()}
        return {"id": asked, "state": rng.choice(["open", "done"]), "links": links, "note": prose(rng, 15)}


def _traits(name: str, number: int) -> ToolTraits:
    writes = number % WRITES_EVERY == WRITES_EVERY - 1
    return ToolTraits(name, reads_only=not writes, changes_world=writes)


def _one_of(rng: random.Random, tools: Sequence[str]) -> str:
    return rng.choices(tools, [1 / rank for rank in range(1, len(tools) + 1)])[0]
