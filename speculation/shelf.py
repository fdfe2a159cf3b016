"""Keeps in this process what was costly to make, bounded by number and by size. For threads; pure."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


@dataclass
class Shelf(Generic[Key, Thing]):
    """What was used last stays: at most `most_things`, together at most `most_bytes`; the newest stays whatever its size."""

    most_things: int
    most_bytes: int
    _things: OrderedDict[Key, tuple[Thing, int]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: Key) -> Thing | None:
        with self._lock:
            if key not in self._things:
                return None
            self._things.move_to_end(key)
            return self._things[key][0]

    def take(self, key: Key) -> Thing | None:
        """Off the shelf: whoever gets it has it alone."""
        with self._lock:
            return self._things.pop(key, (None, 0))[0]

    def put(self, key: Key, thing: Thing, size_bytes: int) -> None:
        with self._lock:
            self._things.pop(key, None)
            self._things[key] = thing, size_bytes
            while len(self._things) > 1 and not self._fits():
                self._things.popitem(last=False)

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self._things.values())

    def __len__(self) -> int:
        return len(self._things)

    def _fits(self) -> bool:
        return len(self._things) <= self.most_things and self.size_bytes <= self.most_bytes
