"""When two values, and two calls, are the same. Pure."""

from collections.abc import Hashable, Mapping
from operator import itemgetter
from typing import Any

from tools.shell import normal_form

_name = itemgetter(0)


def key_of(value: Any) -> Hashable:
    """A hashable stand-in, equal exactly for equal JSON values (1 is 1.0, but neither "1" nor true)."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is float:
        return ("", value)
    if isinstance(value, (list, tuple)):
        return ("[", *map(key_of, value))
    if isinstance(value, Mapping):
        return ("{", *sorted([(str(name), key_of(item)) for name, item in value.items()], key=_name))
    return (kind.__name__, str(value))


Identity = tuple[str, tuple[tuple[str, Hashable], ...]]


def identity(
    tool: str, arguments: Mapping[str, Any], cosmetic: frozenset[str] = frozenset(), shell_argument: str = ""
) -> Identity:
    """What makes two calls the same work. A command line in `shell_argument` is compared after parsing."""
    if len(arguments) == 1 and not cosmetic and not shell_argument:
        ((name, value),) = arguments.items()
        return tool, ((name, key_of(value)),)
    return tool, tuple(
        sorted(
            [
                (name, normal_form(value) if name == shell_argument and type(value) is str else key_of(value))
                for name, value in arguments.items()
                if name not in cosmetic
            ]
        )
    )
