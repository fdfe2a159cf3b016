"""One text for a JSON value, however it was written: equal values have equal texts (RFC 8785)."""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

import rfc8785

_MOST_WHOLE = 2**53 - 1
_WORDS: Mapping[Any, str] = {True: "true", False: "false", None: "null"}


def canonical_json(value: Any) -> str:
    """RFC 8785 text of a JSON value; values outside its domain (integers past 2^53) fall back to sorted keys."""
    if (text := _plain_object(value)) is not None:
        return text
    try:
        return rfc8785.dumps(value).decode()
    except rfc8785.CanonicalizationError:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _plain_object(value: Any) -> str | None:
    """The same text, at a fifth of the price, of what most arguments are: an object of ASCII texts, whole numbers, truth
    values and nulls. None for all else, which has rules of its own (other alphabets' order of keys, fractions, nesting)."""
    if type(value) is not dict or not all(type(key) is str and key.isascii() for key in value):
        return None
    parts = []
    for key in sorted(value):
        text = _plain(value[key])
        if text is None:
            return None
        parts.append(f"{encode_basestring(key)}:{text}")
    return f"{{{','.join(parts)}}}"


def _plain(value: Any) -> str | None:
    """One value of a plain object. An int's subclass may print as it likes, so the type itself must fit."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value) if value.isascii() else None
    if kind is int:
        return str(value) if -_MOST_WHOLE <= value <= _MOST_WHOLE else None
    return _WORDS[value] if value is None or kind is bool else None
