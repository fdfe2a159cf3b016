"""The files of one session: which there are, where they are, and what the next one to be turned to is compared with."""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from itertools import count, islice

from speculation.engine.file_ranking import (
    AFTER_USER,
    EDITED,
    File,
    Situation,
    copy_of,
    marks,
    new_file,
    score,
    sibling_of,
)
from speculation.engine.paths import Places

MAX_VALUES = 32
MAX_FILES = 400
"""Files of a session that are remembered; those not mentioned for longest go first."""
MAX_ACTED = 16
MAX_NAMED = 60
MAX_MENTIONED = 30
MAX_UNREAD = 24
MAX_SIBLINGS = 4
"""Files that are compared: those acted on last, named first in this turn's outputs, mentioned last, unread ones of the
latest list of files, and siblings of those acted on last."""
MAX_FOLLOWERS = 4


@dataclass(slots=True)
class Talk:
    """What was said last, in lower case, and by it what happened last, as in file_ranking.Situation."""

    after: int = AFTER_USER
    words: str = ""
    said: str = ""
    pattern: str = ""
    plan: str = ""


class Files:
    """Append-only but for what is forgotten. Where a name belongs is told by `places`."""

    def __init__(self) -> None:
        self.now = 0
        """Turns so far: calls that ran side by side share one."""
        self.places = Places()
        self.known: dict[str, File] = {}
        """By full path, or by the name as written where the path is not known; the last mentioned last."""
        self.talk = Talk()
        self.moved_to = ""
        """Where the newest command moved before it did its work."""
        self._acted: dict[File, None] = {}
        self._named: list[File] = []
        """Those that this turn's outputs, or the user's words, named first."""
        self._series: dict[File, int] = {}
        """The latest list of several files."""
        self._said: list[File] = []
        self._ranked: list[tuple[float, tuple[int, ...], File]] | None = None

    def fork(self) -> "Files":
        """The same files, each a copy, to be turned to apart. Files that are no longer known do not change: they are shared."""
        fork = copy(self)
        copies = {file: copy_of(file) for file in self.known.values()}
        for file in copies.values():
            file.followers = [copies.get(each, each) for each in file.followers] if file.followers else []
        fork.places, fork.talk = self.places.fork(), replace(self.talk)
        fork.known = {name: copies[file] for name, file in self.known.items()}
        fork._acted = {copies.get(file, file): None for file in self._acted}
        fork._series = {copies.get(file, file): place for file, place in self._series.items()}
        fork._named = [copies.get(file, file) for file in self._named]
        fork._said = [copies.get(file, file) for file in self._said]
        fork._ranked = None
        return fork

    def ranked(self) -> list[tuple[float, tuple[int, ...], File]]:
        """The files that may be turned to next, the likeliest first, each with its score and marks."""
        if self._ranked is None:
            situation = self.situation()
            marked = [(marks(file, situation), file) for file in self.candidates()]
            scored = [(score(entries), entries, file) for entries, file in marked]
            self._ranked = sorted(scored, key=lambda one: -one[0])[:MAX_VALUES]
        return self._ranked

    def changed(self) -> None:
        """Rank anew when next asked."""
        self._ranked = None

    def candidates(self) -> list[File]:
        """The files that are compared, see MAX_ACTED and the following."""
        acted = islice(reversed(self._acted), MAX_ACTED)
        mentioned = islice(reversed(self.known.values()), MAX_MENTIONED)
        unread = islice((file for file in self._series if not file.reads), MAX_UNREAD)
        return list(dict.fromkeys((*acted, *self._named, *mentioned, *unread, *self._siblings())))

    def _siblings(self) -> Iterator[File]:
        for file in islice(reversed(self._acted), MAX_SIBLINGS):
            if file.path and (path := sibling_of(file.path)):
                yield self.known.get(path) or new_file(path, path)

    def situation(self) -> Situation:
        """What the files are compared with."""
        last = next(reversed(self._acted), None)
        path = (last.path or last.name) if last else ""
        return Situation(
            now=self.now,
            after=self.talk.after,
            last=last,
            series=self._series,
            said=self._said,
            words=self.talk.words,
            said_words=self.talk.said,
            pattern=self.talk.pattern,
            plan=self.talk.plan,
            directory=path.rpartition("/")[0] + "/" if last else "",
            followers=last.followers if last else (),
            sibling=sibling_of(path),
            first_unread=next((file for file in self._series if not file.reads), None),
            first_said=next((file for file in self._said if file.acted_at < self.now), None),
            places=self.places,
        )

    def begin_turn(self) -> None:
        """What is named from now on is named at a later time."""
        self.now += 1
        self._named = []

    def name(self, files: Iterable[File]) -> None:
        """An output, or the user, named these, in this order."""
        self._named.extend(files)
        del self._named[MAX_NAMED:]
        if len(self._named) > 1:
            self._series = dict(zip(dict.fromkeys(self._named), count(), strict=False))

    def say(self, names: Iterable[str]) -> None:
        """The model named these; those that the session does not know are left out."""
        paths = map(self.places.place, names)
        self._said = [file for path in paths if path and (file := self.known.get(path))]

    def act(self, file: File, act: int) -> None:
        """The file was read, edited or searched."""
        last = next(reversed(self._acted), None)
        if last is not None and last is not file:
            last.followers.append(file)
            del last.followers[:-MAX_FOLLOWERS]
        file.act, file.acted_at = act, self.now
        if act == EDITED:
            file.edited_at = self.now
        self._acted.pop(file, None)
        self._acted[file] = None

    def file(self, name: str, directory: str = "") -> File:
        """The file of that name, moved to the end as the last mentioned."""
        path = self.places.place(name, directory, self.moved_to)
        key = path or name
        file = self.known.pop(key, None)
        if file is None:
            file = new_file(name, path)
            if path:
                self.places.keep(path)
        file.name = name
        self.known[key] = file
        if len(self.known) > MAX_FILES:
            self._forget_oldest()
        return file

    def _forget_oldest(self) -> None:
        file = self.known.pop(next(iter(self.known)))
        self._acted.pop(file, None)
        if file.path:
            self.places.forget(file.path)

    def learn(self, path: str) -> None:
        """Take in an absolute path that the session itself wrote."""
        if self.places.learn(path):
            self.place_anew()

    def settle(self, directory: str) -> None:
        """Take a directory as the one where relative names belong, if none is known."""
        if not self.places.root and self.places.settle(directory):
            self.place_anew()

    def place_anew(self) -> None:
        """Give files that were named before their directory was known their path."""
        for name in [key for key, file in self.known.items() if file.path is None]:
            if (path := self.places.place(name)) and path not in self.known:
                file = self.known.pop(name)
                file.path = path
                self.places.keep(path)
                self.known[path] = file
