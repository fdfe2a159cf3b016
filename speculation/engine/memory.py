"""What one session has seen so far, as the sources of arguments read it: results, words, earlier calls."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from copy import copy
from itertools import islice
from typing import Any, NamedTuple

from speculation.engine.identity import Identity, identity
from speculation.engine.reading import Parsed, read
from speculation.engine.tokens import stems, tokens_of
from speculation.engine.types import Event, EventKind, ToolTraits
from speculation.engine.views import NOTHING, View
from speculation.engine.workspace import Workspace
from tools.shell import heads_of

MAX_RESULTS = 12
"""Results of one tool that are still looked into."""
MAX_SIGNATURES = 3
"""Last signatures that are signs, each suffix of them one."""
LATELY = ("ran", "ran before", "ran earlier")
"""What the last calls did, the last first."""
MAX_AGO = 6
MAX_WORDS = 48
"""Words of the user's message that are signs."""
MAX_MESSAGES = 12
"""Messages of the user, and of the model, whose tokens are still looked at."""


class Family(NamedTuple):
    """A place that holds values, without saying which of them. Kinds:

    result(tool).path     in the latest result of the tool          results(tool).path    in any, newest first
    any().name            a field of that name in any result        text(tool)~shape      tokens of its latest text
    argument(tool).name   of the tool's latest call                 arguments(tool).name  of all its calls
    user()~shape          tokens of the user's words, newest first  said()~shape          of the model's words
    work()~kind           a list of the workspace: files, commands
    """

    kind: str
    tool: str = ""
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind}({self.tool}){self.path}"


class Memory:
    """Append-only. A place is looked up once, and again only after an event that may have changed it."""

    def __init__(self) -> None:
        self.signatures: list[str] = []
        self._coarse: list[str] = []
        """The signatures without the kinds of command lines."""
        self._done: Sequence[Sequence[str]] = ()
        """What the last events did, the newest first: the kinds of a command line's parts, or the event's signature."""
        self._given: dict[str, int] = {}
        """Command line to the number, among all that were given, at which it was given last."""
        self._count_given = 0
        self.results: dict[str, list[Parsed]] = {}
        self.newest: list[Parsed] = []
        self.calls: dict[str, list[Mapping[str, Any]]] = {}
        self.asked: dict[str, dict[Identity, Mapping[str, Any]]] = {}
        """Tool to its distinct calls, the latest last; arguments without the cosmetic ones."""
        self.used: dict[tuple[str, str], dict[Hashable, None]] = {}
        self.workspace = Workspace()
        self._texts: dict[str, list[str]] = {"user": [], "said": []}
        self._query: frozenset[str] = frozenset()
        self._unread: list[str] = []
        self._marks: Sequence[str] = ()
        self._signs: list[str] | None = None
        self.views: dict[Family, View] = {}
        """Places that were looked up since the last event that may have changed them."""
        self._dependents: dict[str, list[Family]] = {}

    def fork(self) -> "Memory":
        """A memory that has seen the same and goes its own way. Only what never changes is shared."""
        fork = copy(self)
        fork.signatures, fork._coarse = self.signatures[:], self._coarse[:]
        fork._given = dict(self._given)
        fork.newest, fork._unread = self.newest[:], self._unread[:]
        fork.results = {tool: results[:] for tool, results in self.results.items()}
        fork.calls = {tool: calls[:] for tool, calls in self.calls.items()}
        fork.asked = {tool: dict(calls) for tool, calls in self.asked.items()}
        fork.used = {argument: dict(keys) for argument, keys in self.used.items()}
        fork.workspace = self.workspace.fork()
        fork._texts = {kind: texts[:] for kind, texts in self._texts.items()}
        fork.views = dict(self.views)
        fork._dependents = {owner: families[:] for owner, families in self._dependents.items()}
        return fork

    def observe(self, event: Event, traits: ToolTraits | None = None) -> None:
        """One more event. `traits`: the tool's, for a tool's event."""
        if event.kind == EventKind.TOOL:
            self._observe_call(event, traits)
        elif event.text:
            self._observe_words("user" if event.kind == EventKind.USER else "said", event.text)
            self._signs = None
        if event.kind != EventKind.LLM:
            self.signatures.append(str(event.signature) if traits is None else traits.signature(event))
            self._coarse.append(str(event.signature))
            self._note_done(event, traits)
            self._signs = None
        self.workspace.observe(event, traits)

    def _note_done(self, event: Event, traits: ToolTraits | None) -> None:
        command = event.arguments.get(traits.shell_argument) if traits is not None and traits.shell_argument else None
        done = [str(event.signature)]
        if isinstance(command, str):
            done = [f"{head}:{event.status}" for head in heads_of(command)]
            self._count_given += 1
            self._given[command] = self._count_given
        self._done = [done, *self._done][: len(LATELY)]

    def _observe_words(self, kind: str, text: str) -> None:
        self._forget(kind, "work")
        self._texts[kind].append(text)
        if kind == "user":
            words = stems(text)
            self._query |= words
            self._marks = [
                *sorted(words)[:MAX_WORDS],
                *(f"~{shape}" for shape in tokens_of(text) if not shape.isalpha()),
            ]

    def _observe_call(self, event: Event, traits: ToolTraits | None) -> None:
        self._forget(event.tool, "any", "work")
        parsed = read(event.result)
        if event.status != "error":
            self.results.setdefault(event.tool, []).append(parsed)
            self.newest.append(parsed)
        self._marks = parsed.marks
        self.calls.setdefault(event.tool, []).append(event.arguments)
        arguments, call = event.arguments, identity(event.tool, event.arguments)
        if traits is not None and traits.unimportant:
            arguments = {name: value for name, value in arguments.items() if name not in traits.unimportant}
            call = identity(event.tool, arguments)
        asked = self.asked.setdefault(event.tool, {})
        asked.pop(call, None)
        asked[call] = arguments
        for name, key in call[1]:
            self.used.setdefault((event.tool, name), {})[key] = None
            if type(key) is str and " " in key:
                self._unread.append(key)

    def _forget(self, *owners: str) -> None:
        for owner in owners:
            for family in self._dependents.pop(owner, ()):
                self.views.pop(family, None)

    @property
    def situation(self) -> str:
        """The last signature."""
        return self.signatures[-1] if self.signatures else ""

    @property
    def query(self) -> frozenset[str]:
        """Words that the user said and that texts in arguments, such as a search's, asked for."""
        while self._unread:
            self._query |= stems(self._unread.pop())
        return self._query

    def signs(self) -> list[str]:
        """What may tell which tool comes next: the last signatures, states in the newest result or words that the user
        just said, how often each tool was called with other arguments, what is known of the likeliest file, and what all parts
        of the newest command line did."""
        if self._signs is None:
            recent = self.signatures[-MAX_SIGNATURES:]
            self._signs = [" > ".join(recent[at:]) for at in range(len(recent))]
            if self._coarse[-MAX_SIGNATURES:] != recent:
                coarse = self._coarse[-MAX_SIGNATURES:]
                self._signs += [" > ".join(coarse[at:]) for at in range(len(coarse))]
            self._signs += self._marks
            self._signs += [f"{tool} x{min(len(calls), 3)}" for tool, calls in self.asked.items()]
            self._signs += self.workspace.signs()
            self._signs += self._parts_done()
        return self._signs

    def _parts_done(self) -> list[str]:
        """Of a line that is one command the last signature says as much."""
        newest = self._done[0] if self._done else ()
        return [f"{LATELY[0]} {what}" for what in newest] if len(newest) > 1 else []

    def habit_signs(self, habits: Iterable[str]) -> list[str]:
        """What may tell which of these command lines is given: `signs`, what the last calls did, and how long ago each was given."""
        found = list(self.signs())
        for when, done in zip(LATELY, self._done, strict=False):
            if done is not self._done[0] or len(done) == 1:
                found += [f"{when} {what}" for what in done]
        for habit in habits:
            if at := self._given.get(habit):
                found.append(f"{habit} ago {min((self._count_given - at).bit_length(), MAX_AGO)}")
        return found

    def view(self, family: Family) -> View:
        """The values of a place as it stands; without any where it has none."""
        known = self.views.get(family)
        if known is None:
            known = self.views[family] = self._find(family)
            owner = family.kind if family.kind in ("any", "user", "said", "work") else family.tool
            self._dependents.setdefault(owner, []).append(family)
        return known

    def _find(self, family: Family) -> View:
        kind, tool, path = family
        match kind:
            case "result":
                parsed = self.results.get(tool)
                return parsed[-1].view(path) if parsed else NOTHING
            case "text":
                parsed = self.results.get(tool)
                return _view(parsed[-1].tokens.get(path[1:], ())) if parsed else NOTHING
            case "results":
                return _together(one.view(path) for one in reversed(self.results.get(tool, ())[-MAX_RESULTS:]))
            case "any":
                newest = reversed(self.newest[-MAX_RESULTS:])
                return _together(one.view(at) for one in newest for at in one.names.get(path[1:], ()))
            case "argument":
                calls = self.calls.get(tool)
                return View((calls[-1][path[1:]],)) if calls and path[1:] in calls[-1] else NOTHING
            case "arguments":
                return _view(c[path[1:]] for c in reversed(self.calls.get(tool, ())) if path[1:] in c)
            case "work":
                return _view(self.workspace.values(path[1:]))
        texts = islice(reversed(self._texts.get(kind, ())), MAX_MESSAGES)
        return _view(token for text in texts for token in tokens_of(text, kind == "user").get(path[1:], ()))

    def said_lately(self, kind: str) -> Iterable[str]:
        """The texts of the user or the model whose tokens are looked at, newest first."""
        return islice(reversed(self._texts[kind]), MAX_MESSAGES)


def _view(values: Iterable[Any]) -> View:
    found = View(values)
    return found if found.keys else NOTHING


def _together(views: Iterable[View]) -> View:
    """One place out of several, the first ones' values first."""
    known = [view for view in views if view.keys]
    if len(known) == 1:
        return known[0]
    return View.together(known) if known else NOTHING
