"""Run one call, or cut it out of a whole, so that whatever happens can be stored and shown to a model."""

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tools.arguments import validate
from tools.base import Tool, ToolContext, ToolError, ToolFailed, ToolResult, ToolStopped

logger = logging.getLogger(__name__)

MAX_CONTENT_CHARACTERS = 100_000
MAX_STRUCTURED_CHARACTERS = 400_000
MAX_BLOCKS_CHARACTERS = 4_000_000
"""Of content blocks as JSON: three megabytes of pictures."""
NOT_PASSED_ON = f"[too much to be passed on but as text: more than {MAX_BLOCKS_CHARACTERS:,} characters as JSON]"
MAX_DEPTH = 20
MAX_INTEGER_BITS = 4096


def execute(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    """Validate, run, and make storable. Raises ToolStopped only; every other failure is a result with ok=False."""

    def run() -> ToolResult:
        validate(tool, arguments)
        return tool.run(arguments, context)

    return storable(_told(tool, run))


def warm_up(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    """Run a warm-up, whose result nobody is told. Raises ToolStopped only; a failure is a result with ok=False."""

    def run() -> ToolResult:
        tool.warm_up(arguments, context)
        return ToolResult(ok=True, content="")

    return storable(_told(tool, run))


def _told(tool: Tool, run: Callable[[], ToolResult]) -> ToolResult:
    """What came of it, whatever that was."""
    try:
        return run()
    except ToolStopped:
        raise
    except ToolError as error:
        failure = error.failure if isinstance(error, ToolFailed) else ""
        return ToolResult(ok=False, content=str(error), failure=failure)
    except Exception as error:
        logger.exception("%s failed unexpectedly", tool.name)
        told = f"{tool.name} failed unexpectedly ({type(error).__name__}); try another way."
        return ToolResult(ok=False, content=told, failure="crashed")


def cut_out(
    tool: Tool, whole: ToolResult, whole_arguments: Mapping[str, Any], arguments: Mapping[str, Any]
) -> ToolResult | None:
    """What `execute` would have returned for `arguments`, out of a stored whole. None: only a run of its own can tell."""
    if not whole.ok:
        return None
    try:
        validate(tool, arguments)
        part = tool.project(whole, whole_arguments, arguments)
    except ToolError:
        return None
    except Exception:
        logger.exception("%s could not cut a part out of a whole", tool.name)
        return None
    return None if part is None else storable(part)


def storable(result: ToolResult) -> ToolResult:
    """The same within the limits, without what PostgreSQL's text and jsonb refuse. What was cut is stated."""
    content, structured = _bounded_text(result.content), bounded_json(result.structured)
    size = len(json.dumps(result.blocks)) if result.blocks else 0
    if size > MAX_BLOCKS_CHARACTERS:
        return replace(result, content=f"{content}\n{NOT_PASSED_ON}", structured=structured, blocks=())
    blocks = tuple([_Bounded(MAX_BLOCKS_CHARACTERS).copy(block, MAX_DEPTH) for block in result.blocks])
    return replace(result, content=content, structured=structured, blocks=blocks)


def clean_text(text: str) -> str:
    """Without NUL characters, and with lone surrogates (bytes that were no UTF-8) replaced."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def bounded_json(value: Any) -> Any:
    """`value` as JSON that can be stored: cleaned, at most MAX_DEPTH deep and about MAX_STRUCTURED_CHARACTERS long.

    What does not fit is replaced by a statement of the cut, in its place.
    """
    return _Bounded(MAX_STRUCTURED_CHARACTERS).copy(value, MAX_DEPTH)


class _Bounded:
    """One copying walk that spends a budget of characters."""

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def copy(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            self.budget -= 8
            return _finite(value)
        if isinstance(value, Mapping):
            return self._copy_mapping(value, depth)
        if isinstance(value, (list, tuple)):
            return self._copy_list(value, depth)
        return self._copy_text(str(value))

    def _copy_mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if depth == 0:
            return f"[cut: {len(value)} keys nested deeper than {MAX_DEPTH} levels]"
        copied: dict[str, Any] = {}
        for key, item in value.items():
            if self.budget <= 0:
                copied["[cut]"] = f"{len(value) - len(copied)} more keys left out"
                break
            name = self._copy_text(str(key))
            copied[name] = self.copy(item, depth - 1)
        return copied

    def _copy_list(self, value: list[Any] | tuple[Any, ...], depth: int) -> Any:
        if depth == 0:
            return f"[cut: {len(value)} items nested deeper than {MAX_DEPTH} levels]"
        copied: list[Any] = []
        for item in value:
            if self.budget <= 0:
                return [*copied, f"[cut: {len(value) - len(copied)} more items left out]"]
            copied.append(self.copy(item, depth - 1))
        return copied

    def _copy_text(self, text: str) -> str:
        kept = clean_text(text[: max(self.budget, 0)])
        left_out = len(text) - max(self.budget, 0)
        self.budget -= len(text) + 4
        return kept if left_out <= 0 else f"{kept}[cut: {left_out} more characters left out]"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity, and Python refuses to write integers of more than some thousand digits."""
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return f"[cut: an integer of {value.bit_length()} bits]"
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _bounded_text(text: str) -> str:
    if len(text) <= MAX_CONTENT_CHARACTERS:
        return clean_text(text)
    cut = len(text) - MAX_CONTENT_CHARACTERS
    return f"{clean_text(text[:MAX_CONTENT_CHARACTERS])}\n[cut: {cut} more characters left out]"
