"""What an agent that works on files has before it: lists of files and commands that it may turn to next.

Everything listed was named in an event of the session. Composed is only this: a relative name is put below a directory
that the session's own absolute paths show, and an earlier command gets another file or commit of the session.
"""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from speculation.engine.command_templates import Commands
from speculation.engine.file_calls import (
    act_of,
    directory_listed,
    directory_moved_to,
    files_patched,
    is_path,
    shell_argument_of,
    text_of,
)
from speculation.engine.file_ranking import EDITED, READ, SEARCHED, File, Situation, marks, new_file, score
from speculation.engine.paths import LONGEST_TEXT, Places, names_in
from speculation.engine.types import Event, EventKind, ToolTraits

MAX_VALUES = 32
MAX_FILES = 400
"""Files of a session that are remembered; those not mentioned for longest go first."""
MAX_ACTED = 12
MAX_NAMED = 16
MAX_MENTIONED = 8
"""Files that are compared: those acted on last, named first in this turn's outputs, and mentioned last."""
MAX_FOLLOWERS = 4
MAX_WORDS = 4000
LONGEST_SEARCHED_COMMAND = 1000
"""Characters that are looked at."""


class Workspace:
    """Files and commands of one session, the likeliest first. Kinds of list:

    files      full paths of files, by file_ranking.score: what was acted on, named in outputs, told by the user
    names      the same files as the session last wrote them, relative names included
    commands   shell commands that only read, most often given first
    checks     shell commands that may change something (tests, builds), most often given first
    filled     the commands of `commands` with other `names`, or with commits of the newest output, in their place
    """

    def __init__(self) -> None:
        self._now = 0
        """Turns so far: calls that ran side by side share one."""
        self._turn: int | None = None
        self._places = Places()
        self._files: dict[str, File] = {}
        """By full path, or by the name as written where the path is not known; the last mentioned last."""
        self._acted: dict[File, None] = {}
        self._commands = {True: Commands(), False: Commands()}
        """By whether they only read."""
        self._named: list[File] = []
        """Those that this turn's outputs, or the user's words, named first."""
        self._words = ""
        self._newest_text = ""
        self._lists: dict[str, list[str]] = {}
        self._weighed: dict[str, list[tuple[str, float, list[str]]]] = {}

    def observe(self, event: Event, traits: ToolTraits | None = None) -> None:
        """One more event of the session. `traits`: the tool's, for a tool's event."""
        if event.kind == EventKind.LLM:
            return
        self._lists = {}
        self._weighed = {}
        if event.kind == EventKind.USER:
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
                return [file.path for file in self.ranked() if file.path]
            case "names":
                return list(dict.fromkeys(file.name for file in self.ranked()))
            case "commands" | "checks":
                return self._commands[kind == "commands"].ranked(MAX_VALUES)
            case "filled":
                return self._commands[True].filled(self.values("names"), self._newest_text)
        return []

    def weighed(self, kind: str) -> list[tuple[str, float, list[str]]]:
        """A list's values, each with its log-odds among them and its marks, by which a learner may tell them apart."""
        known = self._weighed.get(kind)
        if known is None:
            known = self._weighed[kind] = self._weigh(kind)
        return known

    def _weigh(self, kind: str) -> list[tuple[str, float, list[str]]]:
        if kind != "files":
            values = self.values(kind)
            return [(value, -math.log(len(values)), []) for value in values]
        situation = self.situation()
        files = [(score(file, situation), file) for file in self.ranked() if file.path]
        total = math.log(sum(math.exp(weight) for weight, _ in files)) if files else 0.0
        return [
            (file.path or "", weight - total, [f"f{i}.{mark}" for i, mark in enumerate(marks(file, situation))])
            for weight, file in files
        ]

    def ranked(self) -> list[File]:
        """The files that may be turned to next, the likeliest first."""
        situation = self.situation()
        return sorted(self.candidates(), key=lambda file: -score(file, situation))[:MAX_VALUES]

    def candidates(self) -> list[File]:
        """The files that are compared: some of those acted on, of those in this turn's outputs, of those mentioned."""
        acted = islice(reversed(self._acted), MAX_ACTED)
        mentioned = islice(reversed(self._files.values()), MAX_MENTIONED)
        return list(dict.fromkeys((*acted, *self._named, *mentioned)))

    def situation(self) -> Situation:
        """What the files are compared with."""
        last = next(reversed(self._acted), None)
        if last is None:
            return Situation(self._now, "", (), self._words)
        directory = (last.path or last.name).rpartition("/")[0] + "/"
        return Situation(self._now, directory, last.followers, self._words)

    def _begin_turn(self, turn: int | None) -> None:
        self._now += 1
        self._turn = turn
        self._named = []

    def _observe_words(self, text: str) -> None:
        self._words = text[:MAX_WORDS].lower()
        self._newest_text = text[:LONGEST_TEXT]
        for name in names_in(text):
            file = self._file(name)
            file.told_at = self._now
            self._named.append(file)
        del self._named[MAX_NAMED:]

    def _observe_call(self, event: Event, traits: ToolTraits | None) -> None:
        arguments = event.arguments
        act = act_of(arguments, traits)
        shell = shell_argument_of(arguments, traits)
        listed, is_content = "", False
        for name, value in arguments.items():
            if type(value) is not str or not value:
                continue
            if name == shell:
                listed = self._observe_command(value, traits is None or traits.may_run_early(arguments))
            elif is_path(value):
                if shell:
                    self._observe_directory(value)
                elif self._observe_path(value, act):
                    self._note_read(value, act, arguments, traits)
                    is_content |= act != SEARCHED
            else:
                self._observe_patch(value)
        self._newest_text = ""
        if not is_content:
            self._observe_output(text_of(event.result), listed)

    def _observe_command(self, command: str, only_reads: bool) -> str:
        """Files named in a shell command count as searched. Returns the directory that it lists, if any."""
        if directory := directory_moved_to(command):
            self._learn(directory + "/")
        self._observe_patch(command)
        if "<<" not in command:
            names = names_in(command[:LONGEST_SEARCHED_COMMAND])
            self._commands[only_reads].observe(command, names)
            for name in names:
                self._learn(name)
                self._act(self._file(name), SEARCHED)
        return directory_listed(command)

    def _observe_patch(self, text: str) -> None:
        for name in files_patched(text):
            self._act(self._file(name), EDITED)

    def _observe_path(self, path: str, act: int) -> bool:
        """A path given as an argument. True if it is a file rather than a directory."""
        if act != READ and "." not in path.rpartition("/")[2][1:]:
            self._observe_directory(path)
            return False
        self._learn(path)
        return True

    def _observe_directory(self, path: str) -> None:
        directory = path.rstrip("/")
        self._learn(directory + "/")
        if path.startswith("/") and not self._places.root and self._places.settle(directory):
            self._place_anew()

    def _note_read(self, path: str, act: int, arguments: Mapping[str, Any], traits: ToolTraits | None) -> None:
        file = self._file(path)
        self._act(file, act)
        if act == READ:
            file.reads += 1
            file.read_at = self._now
            file.read_whole = traits.whole_of(arguments) is None if traits else len(arguments) == 1

    def _observe_output(self, text: str, directory: str) -> None:
        self._newest_text = text[:LONGEST_TEXT]
        for rank, name in enumerate(names_in(text)):
            file = self._file(name, directory)
            file.named_at, file.rank = self._now, rank
            file.count += 1
            self._named.append(file)
        del self._named[MAX_NAMED:]

    def _act(self, file: File, act: int) -> None:
        last = next(reversed(self._acted), None)
        if last is not None and last is not file:
            last.followers.append(file)
            del last.followers[:-MAX_FOLLOWERS]
        file.act, file.acted_at = act, self._now
        if act == EDITED:
            file.edited_at = self._now
        self._acted.pop(file, None)
        self._acted[file] = None

    def _file(self, name: str, directory: str = "") -> File:
        """The file of that name, moved to the end as the last mentioned."""
        path = self._places.place(name, directory)
        key = path or name
        file = self._files.pop(key, None)
        if file is None:
            file = new_file(name, path)
            if path:
                self._places.keep(path)
        file.name = name
        self._files[key] = file
        if len(self._files) > MAX_FILES:
            self._forget_oldest()
        return file

    def _forget_oldest(self) -> None:
        file = self._files.pop(next(iter(self._files)))
        self._acted.pop(file, None)
        if file.path:
            self._places.forget(file.path)

    def _learn(self, path: str) -> None:
        if self._places.learn(path):
            self._place_anew()

    def _place_anew(self) -> None:
        """Give files that were named before their directory was known their path."""
        for name in [key for key, file in self._files.items() if file.path is None]:
            if (path := self._places.place(name)) and path not in self._files:
                file = self._files.pop(name)
                file.path = path
                self._places.keep(path)
                self._files[path] = file
