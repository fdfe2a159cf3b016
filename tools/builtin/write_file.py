"""Write a whole text file."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolError, ToolPolicy, ToolResult
from tools.jail import resolve_inside
from tools.schema import arguments_schema, text

MAX_CHARACTERS = 1_000_000


class WriteFile(Tool):
    name = "write_file"
    description = "Write a text file, replacing what was there. Missing directories are made."
    parameters = arguments_schema(
        required=["path", "text"],
        path=text("File, relative to the working directory."),
        text=text("The whole new content.", maxLength=MAX_CHARACTERS),
    )
    policy = ToolPolicy(effect=SideEffect.IDEMPOTENT_WRITE, expected_seconds=0.01, timeout_seconds=10)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        path = resolve_inside(context.root, arguments["path"])
        if path.is_dir():
            raise ToolError(f"{arguments['path']} is a directory; name a file in it.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ToolError(f"{arguments['path']}: a part of this path is a file, not a directory.") from error
        size = replace_file(path, arguments["text"])
        return ToolResult(
            True, f"Wrote {size} bytes to {arguments['path']}.", {"path": arguments["path"], "bytes": size}
        )


def replace_file(path: Path, text: str) -> int:
    """Put `text` at `path` in one step, so that a reader or a crash sees the old or the new, never a half. Bytes written."""
    content = text.encode("utf-8", "replace")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return len(content)
