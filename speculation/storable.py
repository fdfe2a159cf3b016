"""What PostgreSQL's text and jsonb cannot hold, although JSON can write it."""

import json
from typing import Any


def unstorable(value: Any) -> str:
    """Why a JSON value cannot be stored, as one reads it after "it "; empty if it can."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if "\0" in text or (not isinstance(value, str) and "\\u0000" in text):
        return "holds the character U+0000, which cannot be stored"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half of a surrogate pair, which is no character"
    return ""
