"""Names of files in free text, and where in the tree a relative name belongs, learnt from the absolute ones.

Pure string work: nothing here looks at a disk.
"""

import re

LONGEST_TEXT = 16_000
"""Characters of one text that are searched for names."""
LONGEST_NAME = 200
MAX_NAMES = 128
"""Names taken from one text."""
MAX_KEPT = 1000
"""Paths whose whereabouts are kept until directories are news."""

# What follows a closing bracket, as in `${ROOT}/a.py` or `<dir>/a.py`, is no absolute path.
_NAME = re.compile(r"(?<![\w.@~+/:-])(?<![]})>*%](?=/))[\w.@~+/-]*\w\.[A-Za-z]\w{0,9}(?![\w/.(])")
_WORD_OF_PROSE = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]|[A-Z]\w*\.[A-Z]\w*|\d+\.\w+")
_FOREIGN = ("a/", "b/")
"""What `git diff` writes before both names of a file."""


def names_in(text: str) -> list[str]:
    """What looks like a file with an extension, in order of appearance, distinct, as it is written."""
    words = [word for word in dict.fromkeys(text[:LONGEST_TEXT].split()) if "." in word]
    if not words:
        return []
    found: dict[str, None] = {}
    for name in _NAME.findall(" ".join(words)):
        if name[0] == "@" or name[:2] in _FOREIGN:
            name = name.lstrip("@") if name[0] == "@" else name[2:]
        if 3 <= len(name) <= LONGEST_NAME and not ("/" not in name and _WORD_OF_PROSE.fullmatch(name)):
            found[name.removeprefix("./")] = None
            if len(found) == MAX_NAMES:
                break
    return list(found)


def is_below(name: str) -> bool:
    """True for a relative name that says in which directory, and needs no other to be told where that is."""
    return "/" in name and not name.startswith(("/", "~", "../", "-", ".../"))


class Places:
    """The directories of one session, as far as its absolute paths tell."""

    def __init__(self) -> None:
        self.root = ""
        """Where relative names mostly belong; empty as long as that is not known."""
        self._above: dict[str, str] = {}
        """Name of a directory to the path above it; the latest that was written wins."""
        self._paths: dict[str, list[str]] = {}
        """Last component to the full paths that end in it, oldest first."""
        self._directory = ""
        self._known_whereabouts: dict[str | None, int] = {}
        """What was answered since directories were last news."""

    def fork(self) -> "Places":
        """The same directories, to be learnt on apart."""
        fork = Places()
        fork.root, fork._directory, fork._above = self.root, self._directory, dict(self._above)
        fork._paths = {base: paths[:] for base, paths in self._paths.items()}
        return fork

    def learn(self, path: str) -> bool:
        """Take in an absolute path that the session itself wrote. True if relative names may now be placed anew."""
        directory = path.rpartition("/")[0]
        if directory == self._directory or not path.startswith("/"):
            return False
        self._directory = directory
        parts = directory.split("/")
        is_new = False
        for depth in range(len(parts) - 1, 1, -1):
            above = "/".join(parts[:depth])
            is_new |= self._above.get(parts[depth]) != above
            self._above[parts[depth]] = above
        if is_new:
            self._known_whereabouts.clear()
        return is_new

    def whereabouts(self, path: str | None) -> int:
        """What speaks for a file at this path, as a class from 0 to 6.

        0: no path is known. Then by where it lies: no root is known, below the root, elsewhere; of each pair the second where
        the session itself wrote its directory.
        """
        known = self._known_whereabouts.get(path)
        if known is None:
            if len(self._known_whereabouts) >= MAX_KEPT:
                self._known_whereabouts.clear()
            known = self._known_whereabouts[path] = self._whereabouts(path) if path else 0
        return known

    def _whereabouts(self, path: str) -> int:
        above, _, directory = path.rpartition("/")[0].rpartition("/")
        where = 0 if not self.root else 1 if path.startswith(f"{self.root}/") else 2
        return 1 + where * 2 + (self._above.get(directory) == above)

    def settle(self, directory: str) -> bool:
        """Take a directory as the root for names that nothing else places. True if that is news."""
        is_new = directory != self.root
        if is_new:
            self.root = directory
            self._known_whereabouts.clear()
        return is_new

    def keep(self, path: str) -> None:
        """Remember a full path for names that are only its end."""
        self._paths.setdefault(path.rpartition("/")[2], []).append(path)

    def forget(self, path: str) -> None:
        """The opposite of `keep`."""
        base = path.rpartition("/")[2]
        known = self._paths[base]
        known.remove(path)
        if not known:
            del self._paths[base]

    def directory(self, name: str, moved_to: str) -> str:
        """The full path of a directory as written, without a slash at its end; empty where that is not known."""
        name = name.rstrip("/")
        if not name or name.startswith(("~", "..")):
            return ""
        if name[0] == "/":
            return name
        if name == ".":
            return moved_to or self.root
        above = self._above.get(name.partition("/")[0]) or moved_to or self.root
        return f"{above}/{name.removeprefix('./')}" if above else ""

    def place(self, name: str, directory: str = "", moved_to: str = "") -> str | None:
        """The full path of a name as written, or None.

        `directory`: what was listed, for bare names. `moved_to`: where the command that named it worked.
        """
        if name.startswith("/"):
            return name
        if name.startswith(("~", "../", "-")):
            return None
        if name.startswith(".../"):
            return self._ending(name[4:])
        head, slash, _ = name.partition("/")
        if not slash:
            if directory:
                return f"{directory}/{name}"
            return self._ending(name) or (f"{moved_to}/{name}" if moved_to else None)
        if moved_to and not f"{moved_to}/".startswith(f"{self._above.get(head, moved_to)}/"):
            self.settle(moved_to)
            return f"{moved_to}/{name}"
        if above := self._above.get(head):
            if head[0] != ".":  # one such is in the home of the user as often as in what is worked on
                self.settle(above)
            return f"{above}/{name}"
        return self._ending(name) or (f"{self.root}/{name}" if self.root else None)

    def _ending(self, name: str) -> str | None:
        known = self._paths.get(name.rpartition("/")[2], ())
        return next((path for path in reversed(known) if path.endswith(f"/{name}")), None)
