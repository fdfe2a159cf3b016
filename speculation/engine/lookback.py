"""Did these values stand somewhere in the session before? Tells what could have been derived from what could not. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from speculation.engine.types import Event


class Lookback:
    """All texts of a session so far: what was said, asked with and returned."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def observe(self, event: Event) -> None:
        self._texts += [text for text in (event.text, event.thinking) if text]
        if event.tool:
            self._texts += [str(leaf) for leaf in leaves(event.arguments)]
            self._texts.append(event.result if isinstance(event.result, str) else _as_text(event.result))

    def holds(self, values: Iterable[Any]) -> bool:
        """True if every text and number among the values stood before, character for character."""
        wanted = [str(leaf) for value in values for leaf in leaves(value) if not isinstance(leaf, bool)]
        return all(any(text in before for before in reversed(self._texts)) for text in wanted)


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def leaves(value: Any) -> Iterator[Any]:
    """Texts, numbers and truth values of a JSON value."""
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        if value is not None:
            yield value
        return
    for item in value:
        yield from leaves(item)
