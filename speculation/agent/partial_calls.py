"""The arguments of a call whose JSON is still being written."""

from typing import Any, NamedTuple

import jiter


class PartialArguments(NamedTuple):
    """`complete`: arguments whose values are written out; then the one whose string value is being written, if any."""

    complete: dict[str, Any]
    name: str = ""
    value: str = ""


def read_partial(text: str) -> PartialArguments:
    """What the beginning of an object's JSON says for certain; nothing where it is no such beginning.

    A string is complete with its closing quotation mark; a number, list or object only once the next name stands there
    or the whole object is closed, for it may go on.
    """
    closed, grown = _parse(text, "on"), _parse(text, "trailing-strings")
    if not isinstance(closed, dict) or not isinstance(grown, dict) or not grown:
        return PartialArguments({})
    last = next(reversed(grown))
    if last not in closed:
        value = grown[last]
        return PartialArguments(closed, last, value) if isinstance(value, str) else PartialArguments(closed)
    if isinstance(closed[last], str) or isinstance(_parse(text, "off"), dict):
        return PartialArguments(closed)
    return PartialArguments({name: value for name, value in closed.items() if name != last})


def _parse(text: str, mode: Any) -> Any:
    try:
        return jiter.from_json(text.encode(), partial_mode=mode)
    except ValueError:
        return None
