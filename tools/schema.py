"""Small words for the JSON Schema of a tool's arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def arguments_schema(*, required: Sequence[str] = (), **properties: Schema) -> Schema:
    """Schema of an arguments object that takes these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def text(description: str, **limits: Any) -> Schema:
    return {"type": "string", "description": description, **limits}


def whole_number(description: str, **limits: Any) -> Schema:
    return {"type": "integer", "description": description, **limits}


def yes_or_no(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def key_value(description: str) -> Schema:
    return {"type": ["string", "integer"], "description": description}


def values_by_column(description: str, **limits: Any) -> Schema:
    return {"type": "object", "description": description, **limits}
