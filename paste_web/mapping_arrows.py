"""A pattern's mapping as arrows from sources to arguments, and as JSON that a person can edit. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speculation.engine.roster import WHOLE, template_parts
from speculation.staleness import Mapped

MOST_SHOWN = 4
THINNEST, THICKEST = 1.0, 5.0


@dataclass(frozen=True)
class Origin:
    """One source: how often it was right, of how often it had a value. `width`: of its arrow."""

    text: str
    right: float
    available: float
    width: str


@dataclass(frozen=True)
class Arrows:
    """All that lead to one argument, the best first; `others` are not shown."""

    argument: str
    origins: Sequence[Origin]
    others: int

    @property
    def best(self) -> Origin:
        return self.origins[0]


def arrows(mapping: Mapped, most: int = MOST_SHOWN) -> list[Arrows]:
    """One an argument that has any source; whole calls are told by `wholes`."""
    return [
        Arrows(argument, [_origin(*source) for source in sources[:most]], max(0, len(sources) - most))
        for argument, sources in sorted(mapping.items())
        if argument != WHOLE and sources
    ]


def wholes(mapping: Mapped, most: int = MOST_SHOWN) -> list[Origin]:
    """Whole calls that were ever right: earlier ones again, and sources that go together, in words."""
    known = [one for one in mapping.get(WHOLE, ()) if one[1] > 0][:most]
    return [_origin(_in_words(text), right, available) for text, right, available in known]


def _origin(text: str, right: float, available: float) -> Origin:
    share = min(1.0, right / available) if available > 0 else 0.0
    return Origin(text, right, available, f"{THINNEST + (THICKEST - THINNEST) * share:.1f}")


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def without_values(text: str) -> str:
    """A source's words without what was mined out of arguments and results: constants, beginnings and ends."""
    return "= …" if text.startswith("= ") else _QUOTED.sub('"…"', text)


def _in_words(text: str) -> str:
    parts = template_parts(text)
    if parts:
        return ", ".join(f"{argument} from {source}" for argument, source in sorted(parts.items()))
    rank = text.rpartition(" ")[2]
    return "its latest call once more" if rank == "0" else f"its call {rank} before the latest once more"


def written(mapping: Mapping[str, Any]) -> str:
    """The mapping as JSON, a source a line; counts to two digits."""
    arguments = [f"  {_json(argument)}: [\n{_lines(sources)}\n  ]" for argument, sources in sorted(mapping.items())]
    return "{\n" + ",\n".join(arguments) + "\n}" if arguments else "{}"


def _lines(sources: Sequence[Sequence[Any]]) -> str:
    return ",\n".join(
        f"    {_json([text, round(right, 2), round(available, 2)])}" for text, right, available in sources
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
