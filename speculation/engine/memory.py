"""What one session has seen so far, as the sources of arguments read it: results, words, earlier calls."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from speculation.engine.types import Event, EventKind
from speculation.engine.values import Identity, Parsed, Tokens, identity, key_of, stems

MAX_LIST = 64
"""Values kept of one family: what lies further down a list is not predicted."""
EVERY_WORD = "user"
"""The mark that stands in every message of the user."""
MAX_RESULTS = 12
"""Results of one tool that are still looked into."""


class Family(NamedTuple):
    """A place that holds values, without saying which of them. Kinds:

    result(tool).path     in the latest result of the tool          results(tool).path    in any, newest first
    any().name            a field of that name in any result        text(tool)~shape      tokens of its latest text
    argument(tool).name   of the tool's latest call                 arguments(tool).name  of all its calls
    user()~shape          tokens of the user's words, newest first  said()~shape          of the model's words
    """

    kind: str
    tool: str = ""
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind}({self.tool}){self.path}"


class Memory:
    """Append-only; every look-up is answered from a cache that lasts until the next event."""

    def __init__(self) -> None:
        self.signatures: list[str] = []
        self.results: dict[str, list[Parsed]] = {}
        self.newest: list[Parsed] = []
        self.calls: dict[str, list[Mapping[str, Any]]] = {}
        self.asked: dict[str, dict[Identity, Mapping[str, Any]]] = {}
        """Tool to its distinct calls, the latest last; arguments without the cosmetic ones."""
        self.used: dict[tuple[str, str], dict[Hashable, None]] = {}
        self._words: dict[str, list[Tokens]] = {"user": [], "said": []}
        self._query: set[str] = set()
        self._said: frozenset[str] = frozenset()
        self._families: dict[Family, list[Any]] = {}
        self._keys: dict[Family, list[Hashable]] = {}
        self._closest: dict[Family, list[tuple[float, int]]] = {}

    def observe(self, event: Event, cosmetic: frozenset[str] = frozenset()) -> None:
        """One more event. `cosmetic`: arguments of this tool that do not change the work."""
        self._families.clear()
        self._keys.clear()
        self._closest.clear()
        if event.kind == EventKind.TOOL:
            self._observe_call(event, cosmetic)
        elif event.text:
            name = "user" if event.kind == EventKind.USER else "said"
            self._words[name].append(Tokens(event.text))
            if name == "user":
                self._query |= stems(event.text)
                shapes = {f"user~{shape}" for shape in self._words[name][-1].by_shape if not shape.isalpha()}
                self._said = frozenset({EVERY_WORD, *shapes, *(f"user:{word}" for word in stems(event.text))})
        if event.kind != EventKind.LLM:
            self.signatures.append(str(event.signature))

    def _observe_call(self, event: Event, cosmetic: frozenset[str]) -> None:
        parsed = Parsed(event.result)
        self._said = frozenset()
        if event.status != "error":
            self.results.setdefault(event.tool, []).append(parsed)
            self.newest.append(parsed)
        self.calls.setdefault(event.tool, []).append(event.arguments)
        arguments = {name: value for name, value in event.arguments.items() if name not in cosmetic}
        asked, call = self.asked.setdefault(event.tool, {}), identity(event.tool, arguments)
        asked.pop(call, None)
        asked[call] = arguments
        for name, value in arguments.items():
            self.used.setdefault((event.tool, name), {})[key_of(value)] = None
            if type(value) is str and " " in value:
                self._query |= stems(value)

    def read_ahead(self) -> None:
        """Read the newest words and result now, so that the next prediction need not."""
        if self.newest:
            parsed = self.newest[-1]
            _ = parsed.leaves, parsed.names, parsed.tokens
        if self._words["user"]:
            _ = self._words["user"][-1].by_shape

    def words_now(self) -> frozenset[str]:
        """Marks that may tell which tool comes next: words and shapes of what the user just said.

        "user" is always among them, for the others to be compared with; after a tool's result there are none.
        """
        return self._said

    def values(self, family: Family) -> list[Any]:
        """The values of a family, distinct, in its order; empty where it has none."""
        known = self._families.get(family)
        if known is None:
            known = self._families[family] = self._find(family)
        return known

    def keys(self, family: Family) -> list[Hashable]:
        """`key_of` each of the family's values."""
        known = self._keys.get(family)
        if known is None:
            known = self._keys[family] = [key_of(value) for value in self.values(family)]
        return known

    def _find(self, family: Family) -> list[Any]:
        kind, tool, path = family
        if kind == "result":
            parsed = self.results.get(tool)
            return _distinct(parsed[-1].leaves.get(path, ())) if parsed else []
        if kind == "results":
            return _distinct(
                v for p in reversed(self.results.get(tool, ())[-MAX_RESULTS:]) for v in p.leaves.get(path, ())
            )
        if kind == "any":
            return _distinct(v for p in reversed(self.newest[-MAX_RESULTS:]) for v in p.names.get(path[1:], ()))
        if kind == "argument":
            calls = self.calls.get(tool)
            return [calls[-1][path[1:]]] if calls and path[1:] in calls[-1] else []
        if kind == "arguments":
            return _distinct(c[path[1:]] for c in reversed(self.calls.get(tool, ())) if path[1:] in c)
        if kind == "text":
            parsed = self.results.get(tool)
            return parsed[-1].tokens.get(path[1:], [])[:MAX_LIST] if parsed else []
        return _distinct(
            token for words in reversed(self._words.get(kind, ())) for token in words.by_shape.get(path[1:], ())
        )

    def closest(self, family: Family) -> list[tuple[float, int]]:
        """(score, index) of the family's values that share words with what the user and the searches asked, best first.

        Words that many elements share count for little. The whole record round a value is compared where there is one.
        """
        known = self._closest.get(family)
        if known is None:
            known = self._closest[family] = self._compare(family)
        return known

    def _compare(self, family: Family) -> list[tuple[float, int]]:
        words = [stems(str(value)) for value in self.values(family)]
        spread: dict[str, int] = {}
        for word in (w for found in words for w in found):
            spread[word] = spread.get(word, 0) + 1
        scored = [(sum(1.0 / spread[w] for w in found & self._query), i) for i, found in enumerate(words)]
        return sorted(((s, i) for s, i in scored if s > 0), key=lambda pair: (-pair[0], pair[1]))


def _distinct(values: Any) -> list[Any]:
    found: dict[Hashable, Any] = {}
    for value in values:
        found.setdefault(key_of(value), value)
        if len(found) >= MAX_LIST:
            break
    return list(found.values())
