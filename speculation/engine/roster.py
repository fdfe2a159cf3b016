"""All sources known for one argument of one tool, evaluated together: each place is looked up once."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from speculation.engine.mapping import Missing, Source, parse_source, select, transform
from speculation.engine.memory import Family, Memory
from speculation.engine.values import key_of

WHOLE = "*"
"""A mapping's entry for whole calls: `again 0` is the tool's latest call once more, a JSON object names one source an
argument that go together."""
AGAIN_RANKS = 4


def again_text(rank: int) -> str:
    return f"again {rank}"


def template_text(parts: Mapping[str, str]) -> str:
    return json.dumps(parts, sort_keys=True)


@lru_cache(maxsize=20000)
def template_parts(text: str) -> Mapping[str, str]:
    """Argument to source text; empty for `again`."""
    parts: Mapping[str, str] = json.loads(text) if text.startswith("{") else {}
    return parts


class Roster:
    """Built from source texts; `evaluate` gives the values that exist in a session now."""

    def __init__(self, tool: str, argument: str, texts: Sequence[str]) -> None:
        self.tool, self.argument, self.texts = tool, argument, tuple(texts)
        self._constants: list[tuple[int, Any]] = []
        groups: dict[Family, list[tuple[int, Source]]] = {}
        for index, text in enumerate(self.texts):
            source = parse_source(text)
            if source.constant is not None:
                self._constants.append((index, json.loads(source.constant)))
            else:
                groups.setdefault(source.family, []).append((index, source))
        self._groups = list(groups.items())

    def evaluate(self, memory: Memory, fresh_only: bool) -> list[tuple[int, Any]]:
        """(index of the source, its value) for every source that has one; `fresh_only` leaves out values already used."""
        used = memory.used.get((self.tool, self.argument), {})
        found = list(self._constants)
        for family, members in self._groups:
            values = memory.values(family)
            if not values:
                continue
            for index, source in members:
                value = select(source, values, memory, self.tool, self.argument)
                if source.wrapper or source.prefix or source.suffix:
                    value = value if isinstance(value, Missing) else transform(source, value)
                if not isinstance(value, Missing):
                    found.append((index, value))
        return [(i, v) for i, v in found if key_of(v) not in used] if fresh_only and used else found
