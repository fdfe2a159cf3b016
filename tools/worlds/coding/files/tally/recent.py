"""A cache that forgets what was not used lately."""

from collections import OrderedDict


class RecentCache:
    """Keeps the `size` entries that were used last."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: OrderedDict[str, object] = OrderedDict()

    def put(self, key: str, value: object) -> None:
        self.entries[key] = value
        if len(self.entries) > self.size:
            self.entries.popitem(last=False)

    def get(self, key: str) -> object | None:
        """The value, which counts as used now, or None."""
        if key not in self.entries:
            return None
        self.entries.move_to_end(key, last=False)
        return self.entries[key]
