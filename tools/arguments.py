"""Do a call's arguments fit the tool's JSON Schema? Checked fast; explained well only when they do not."""

from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema
import jsonschema  # type: ignore[import-untyped]
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]
from referencing import Registry

from tools.base import InvalidArguments, Tool

Check = Callable[[Mapping[str, Any]], Any]

_checks: dict[str, Check] = {}
"""By definition hash: a changed definition is another tool."""


def validate(tool: Tool, arguments: Mapping[str, Any]) -> None:
    """Raises InvalidArguments, whose message names the argument and what is expected. Never changes `arguments`."""
    check = _checks.get(tool.definition_hash)
    if check is None:
        check = _checks.setdefault(tool.definition_hash, _compile(tool.parameters))
    try:
        check(arguments)
    except (fastjsonschema.JsonSchemaValueException, jsonschema.ValidationError) as error:
        raise InvalidArguments(_explain(tool, arguments)) from error


def _compile(parameters: Mapping[str, Any]) -> Check:
    """Compiled code; the slower interpreter for the few schemas that the compiler does not take."""
    schema = dict(parameters)
    handlers = dict.fromkeys(("http", "https", "ftp", "file"), _refuse_to_fetch)
    try:
        check: Check = fastjsonschema.compile(schema, handlers=handlers, use_default=False, use_formats=False)
    except Exception:  # noqa: BLE001 - the compiler raises whatever a strange schema makes it stumble over
        check = _interpreter(schema).validate
    return check


def _interpreter(schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    """The empty registry keeps a schema's references from being fetched."""
    return jsonschema.Draft202012Validator(schema, registry=Registry())


def _refuse_to_fetch(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri}")


def _explain(tool: Tool, arguments: Mapping[str, Any]) -> str:
    error = best_match(_interpreter(dict(tool.parameters)).iter_errors(arguments))
    if error is None:
        return f"The arguments do not fit the schema of {tool.name}."
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"Argument {_quoted(missing)} of {tool.name} is missing. {_accepted(tool)}"
    if error.validator == "additionalProperties":
        return f"{tool.name}: {error.message}. {_accepted(tool)}"
    where = ".".join(str(step) for step in error.absolute_path)
    return f"Argument {where!r} of {tool.name}: {error.message}" if where else f"{tool.name}: {error.message}"


def _accepted(tool: Tool) -> str:
    return f"It takes {_quoted(tool.parameters.get('properties', {})) or 'no arguments'}."


def _quoted(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
