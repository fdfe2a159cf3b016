"""What an agent that works on files has before it: lists of files and commands that it may turn to next.

Everything listed was named in an event of the session. Composed is only this: a relative name is put below a directory
that the session's own absolute paths show, a file's test (or what a test tests) is looked for where it usually is, and
an earlier command gets another file or commit of the session.
"""

import math
from collections.abc import Mapping
from copy import copy
from typing import Any

from speculation.engine.command_templates import Commands
from speculation.engine.file_calls import (
    act_of,
    directory_listed,
    directory_moved_to,
    files_patched,
    is_listing,
    is_path,
    plan_of,
    shell_argument_of,
    text_of,
)
from speculation.engine.file_ranking import (
    AFTER_EDIT,
    AFTER_ERROR,
    AFTER_FAILED_RUN,
    AFTER_LOOK,
    AFTER_OTHER,
    AFTER_READ,
    AFTER_RUN,
    AFTER_SEARCH,
    AFTER_USER,
    EDITED,
    READ,
    SEARCHED,
    File,
)
from speculation.engine.files import MAX_VALUES, Files
from speculation.engine.paths import LONGEST_TEXT, is_below, names_in
from speculation.engine.types import Event, EventKind, ToolTraits

LEAST_SCORE, MOST_SCORE = -4, 12
"""Scores beyond these are no signs of their own."""
MAX_SAID = 16
MAX_WORDS = 4000
LONGEST_SEARCHED_COMMAND = 1000
"""Characters that are looked at."""


class Workspace:
    """Files and commands of one session, the likeliest first. Kinds of list:

    files      full paths of files, by file_ranking.score: what was acted on, named in outputs, told by the user
    names      those that the session last wrote as relative names, as it wrote them
    unplaced   relative names with a directory of which nothing in the session tells where it is
    commands   shell commands that only read, most often given first
    checks     shell commands that may change something (tests, builds), most often given first
    filled     the commands of `commands` with other `names`, or with commits of the newest output, in their place
    """

    def __init__(self) -> None:
        self.files = Files()
        self._turn: int | None = None
        self._commands = {True: Commands(), False: Commands()}
        """By whether they only read."""
        self._newest_text = self._newest_command = ""
        self._lists: dict[str, list[str]] = {}
        self._weighed: dict[str, list[tuple[str, float, list[str]]]] = {}

    def fork(self) -> "Workspace":
        """A workspace that has seen the same and goes its own way."""
        fork = copy(self)
        fork.files = self.files.fork()
        fork._commands = {only_reads: commands.fork() for only_reads, commands in self._commands.items()}
        fork._lists, fork._weighed = {}, {}
        return fork

    def observe(self, event: Event, traits: ToolTraits | None = None) -> None:
        """One more event of the session. `traits`: the tool's, for a tool's event."""
        if event.kind == EventKind.LLM and not event.text:
            return
        self._lists, self._weighed = {}, {}
        self.files.changed()
        if event.kind == EventKind.LLM:
            self.files.talk.said = event.text[:MAX_WORDS].lower()
            self.files.say(names_in(event.text)[:MAX_SAID])
        elif event.kind == EventKind.USER:
            self._begin_turn(None)
            self._observe_words(event.text)
        else:
            if event.turn != self._turn:
                self._begin_turn(event.turn)
            self._observe_call(event, traits)

    def values(self, kind: str) -> list[str]:
        """The values of a list, distinct, the likeliest first; empty for a kind that is not known."""
        known = self._lists.get(kind)
        if known is None:
            known = self._lists[kind] = self._make(kind)
        return known

    def _make(self, kind: str) -> list[str]:
        match kind:
            case "files":
                return [file.path for _, _, file in self.files.ranked() if file.path]
            case "names":
                return [name for name in self._written() if name[0] != "/"]
            case "unplaced":
                return [name for _, _, file in self.files.ranked() if (name := _unplaced(file))]
            case "commands" | "checks":
                return self._commands[kind == "commands"].ranked(MAX_VALUES)
            case "filled":
                return self._commands[True].filled(self._written(), self._newest_text)
        return []

    def _written(self) -> list[str]:
        known, ranked = self.files.known, self.files.ranked()
        return list(dict.fromkeys(file.name for _, _, file in ranked if (file.path or file.name) in known))

    def weighed(self, kind: str) -> list[tuple[str, float, list[str]]]:
        """A list's values, each with its log-odds among them and its marks, by which a learner may tell them apart.

        Files have none: what a learner made of the marks that rank them was no gain for any recorded agent.
        """
        known = self._weighed.get(kind)
        if known is None:
            known = self._weighed[kind] = self._weigh(kind)
        return known

    def signs(self) -> list[str]:
        """What may tell whether a file is turned to next: what was done with the likeliest one, and its score.

        Only of files whose place is known: where none is, what looks like one is mostly something else.
        """
        likeliest = next((one for one in self.files.ranked() if one[2].path), None)
        if likeliest is None:
            return []
        odds, entries, _ = likeliest
        return [f"file act {entries[0]}", f"file score {max(LEAST_SCORE, min(MOST_SCORE, round(odds)))}"]

    def _weigh(self, kind: str) -> list[tuple[str, float, list[str]]]:
        if kind not in ("files", "unplaced"):
            values = self.values(kind)
            odds, when = -math.log(max(len(values), 1)), f"{kind} after {self.files.talk.after}"
            return [(v, odds, [when, f"{kind} newest"] if v == self._newest_command else [when]) for v in values]
        ranked = self.files.ranked()
        total = math.log(sum([math.exp(odds) for odds, _, _ in ranked])) if ranked else 0.0
        values_of = (lambda file: file.path) if kind == "files" else _unplaced
        return [(value, odds - total, []) for odds, _, file in ranked if (value := values_of(file))]

    def _begin_turn(self, turn: int | None) -> None:
        self.files.begin_turn()
        self._turn = turn

    def _observe_words(self, text: str) -> None:
        self.files.talk.after = AFTER_USER
        self.files.talk.words = text[:MAX_WORDS].lower()
        self._newest_text = text[:LONGEST_TEXT]
        named = [self.files.file(name) for name in names_in(text)]
        for file in named:
            file.told_at = self.files.now
        self.files.name(named)

    def _observe_call(self, event: Event, traits: ToolTraits | None) -> None:
        arguments = event.arguments
        act = act_of(arguments, traits)
        shell = shell_argument_of(arguments, traits)
        only_reads = traits is None or traits.may_run_early(arguments)
        listed, is_content, has_path, output = "", False, False, text_of(event.result)
        self.files.moved_to = ""
        for name, value in arguments.items():
            if type(value) is not str or not value:
                continue
            if name == shell:
                listed = self._observe_command(value, only_reads)
            elif is_path(value):
                has_path = True
                if shell:
                    self._observe_directory(value)
                elif is_listing(value, output):
                    self._observe_directory(value)
                    listed = self.files.places.directory(value, "")
                elif self._observe_path(value, act):
                    self._note_read(value, act, arguments, traits)
                    is_content |= act != SEARCHED
            else:
                self._observe_patch(value)
        self._note_after(event, act if has_path or act == SEARCHED else 0, shell, only_reads)
        self._newest_text = ""
        if not is_content:
            self._observe_output(output, listed)

    def _note_after(self, event: Event, act: int, shell: str, only_reads: bool) -> None:
        arguments, is_error, talk = event.arguments, event.status == "error", self.files.talk
        if shell:
            talk.after = AFTER_LOOK if only_reads else AFTER_FAILED_RUN if is_error else AFTER_RUN
        elif act:
            talk.after = AFTER_ERROR if is_error else (AFTER_READ, AFTER_EDIT, AFTER_SEARCH)[act - 1]
        else:
            talk.after = AFTER_OTHER
            talk.plan = plan_of(arguments)[:MAX_WORDS].lower()
        if type(pattern := arguments.get("pattern")) is str:
            talk.pattern = pattern.lower()

    def _observe_command(self, command: str, only_reads: bool) -> str:
        """Files named in a shell command count as searched. Returns the directory that it lists, if any."""
        if directory := directory_moved_to(command):
            self.files.learn(directory + "/")
            self.files.moved_to = directory
        self._observe_patch(command)
        if "<<" not in command:
            names = names_in(command[:LONGEST_SEARCHED_COMMAND])
            self._commands[only_reads].observe(command, names)
            self._newest_command = command
            for name in names:
                self.files.learn(name)
                self.files.act(self.files.file(name), SEARCHED)
        return self.files.places.directory(directory_listed(command), self.files.moved_to)

    def _observe_patch(self, text: str) -> None:
        for name in files_patched(text):
            self.files.act(self.files.file(name), EDITED)

    def _observe_path(self, path: str, act: int) -> bool:
        """A path given as an argument. True if it is a file rather than a directory."""
        if act != READ and "." not in path.rpartition("/")[2][1:]:
            self._observe_directory(path)
            return False
        self.files.learn(path)
        return True

    def _observe_directory(self, path: str) -> None:
        directory = path.rstrip("/")
        self.files.learn(directory + "/")
        if path.startswith("/"):
            self.files.settle(directory)

    def _note_read(self, path: str, act: int, arguments: Mapping[str, Any], traits: ToolTraits | None) -> None:
        file = self.files.file(path)
        self.files.act(file, act)
        if act == READ:
            file.reads += 1
            file.read_at = self.files.now
            file.read_whole = traits.whole_of(arguments) is None if traits else len(arguments) == 1

    def _observe_output(self, text: str, directory: str) -> None:
        self._newest_text = text[:LONGEST_TEXT]
        named = [self.files.file(name, directory) for name in names_in(text)]
        for rank, file in enumerate(named):
            file.named_at, file.rank = self.files.now, rank
            file.count += 1
        self.files.name(named)


def _unplaced(file: File) -> str:
    """Its name, where that is relative, says in which directory, and nothing tells where that is."""
    return file.name if file.path is None and is_below(file.name) else ""
