"""Read a text file, whole or a range of lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolError, ToolPolicy, ToolResult
from tools.jail import existing_file
from tools.running import MAX_CONTENT_CHARACTERS, clean_text
from tools.schema import arguments_schema, text, whole_number

MAX_BYTES = 2_000_000
MAX_LINES = 2000


class ReadFile(Tool):
    name = "read_file"
    description = f"Read a text file, at most {MAX_LINES} lines a call. Lines are numbered from 1."
    parameters = arguments_schema(
        required=["path"],
        path=text("File, relative to the working directory."),
        first_line=whole_number("Default: 1.", minimum=1),
        last_line=whole_number("Included. Default: the end.", minimum=1),
    )
    policy = ToolPolicy(
        effect=SideEffect.NONE,
        covers=frozenset({"first_line", "last_line"}),
        expected_seconds=0.01,
        timeout_seconds=10,
        ttl_seconds=30,
    )

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        path = existing_file(context.root, arguments["path"])
        if path.stat().st_size > MAX_BYTES:
            raise ToolError(f"{arguments['path']} is larger than {MAX_BYTES} bytes; use search_text to look into it.")
        text = clean_text(path.read_bytes().decode("utf-8", "replace"))
        return _answer(arguments, text.splitlines())

    def project(
        self, whole: ToolResult, whole_arguments: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> ToolResult | None:
        """A range of lines out of the whole file, as long as the whole was cut neither by us nor for storage."""
        if not whole.ok or whole_arguments != {"path": arguments["path"]}:
            return None
        text = whole.structured["text"]
        if len(text) > MAX_CONTENT_CHARACTERS:
            return None
        lines = text.split("\n") if whole.structured["lines"] else []
        is_cut = len(lines) != whole.structured["lines"]
        is_beyond_the_end = int(arguments.get("first_line", 1)) > max(len(lines), 1)
        return None if is_cut or is_beyond_the_end else _answer(arguments, lines)


def _answer(arguments: Mapping[str, Any], lines: Sequence[str]) -> ToolResult:
    first = int(arguments.get("first_line", 1))
    last = min(int(arguments.get("last_line", len(lines))), len(lines))
    if first > max(len(lines), 1):
        raise ToolError(f"{arguments['path']} has only {len(lines)} lines.")
    chosen = lines[first - 1 : min(last, first - 1 + MAX_LINES)]
    text = "\n".join(chosen)
    end = first - 1 + len(chosen)
    content = text if text else "[empty]"
    if end < last:
        content += f"\n[cut after line {end} of {len(lines)}; go on with first_line={end + 1}]"
    structured = {"path": arguments["path"], "text": text, "first_line": first, "last_line": end, "lines": len(lines)}
    return ToolResult(True, content, structured)
