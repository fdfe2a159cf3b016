"""All sources known for one argument of one tool, evaluated together: each place is looked up once."""

import json
from collections.abc import Container, Hashable, Mapping, Sequence
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
        self._constants: list[tuple[int, Any, Hashable]] = []
        plain: dict[Family, list[tuple[int, int, bool]]] = {}
        others: dict[Family, list[tuple[int, Source]]] = {}
        for index, text in enumerate(self.texts):
            source = parse_source(text)
            if source.constant is not None:
                value = json.loads(source.constant)
                self._constants.append((index, value, key_of(value)))
            elif source.is_plain and source.selector in ("first", "item", "next"):
                plain.setdefault(source.family, []).append((index, source.rank, source.selector == "next"))
            else:
                others.setdefault(source.family, []).append((index, source))
        families = dict.fromkeys((*plain, *others))
        self._groups = [(family, plain.get(family, ()), others.get(family, ())) for family in families]

    def evaluate(self, memory: Memory, fresh_only: bool) -> list[tuple[int, Any, Hashable]]:
        """(index of the source, its value, the value's key) for every source that has one.

        `fresh_only` leaves out values that the tool was already called with.
        """
        used = memory.used.get((self.tool, self.argument), {})
        found = [entry for entry in self._constants if not fresh_only or entry[2] not in used]
        for family, plain, others in self._groups:
            if not (values := memory.values(family)):
                continue
            if plain:
                self._select(found, plain, memory.keys(family), values, used, fresh_only)
            for index, source in others:
                value = select(source, values, memory, self.tool, self.argument)
                value = value if isinstance(value, Missing) else transform(source, value)
                if not isinstance(value, Missing) and not (fresh_only and key_of(value) in used):
                    found.append((index, value, key_of(value)))
        return found

    @staticmethod
    def _select(
        found: list[tuple[int, Any, Hashable]],
        plain: Sequence[tuple[int, int, bool]],
        keys: Sequence[Hashable],
        values: Sequence[Any],
        used: Container[Hashable],
        fresh_only: bool,
    ) -> None:
        """Selectors by position: the same as `select`, for all of them in one pass."""
        fresh = [i for i, key in enumerate(keys) if key not in used] if used else range(len(keys))
        for index, rank, is_next in plain:
            if is_next:
                if rank < len(fresh):
                    at = fresh[rank]
                    found.append((index, values[at], keys[at]))
            elif -len(keys) <= rank < len(keys) and not (fresh_only and keys[rank] in used):
                found.append((index, values[rank], keys[rank]))
