"""Replace one exact piece of text in a file."""

from collections.abc import Mapping
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolError, ToolPolicy, ToolResult
from tools.builtin.write_file import replace_file
from tools.jail import existing_file
from tools.schema import arguments_schema, text


class EditFile(Tool):
    name = "edit_file"
    description = "Replace text in a file. old_text must occur exactly once, with its white space as in the file."
    parameters = arguments_schema(
        required=["path", "old_text", "new_text"],
        path=text("File, relative to the working directory."),
        old_text=text("What to replace.", minLength=1),
        new_text=text("What to put in its place."),
    )
    policy = ToolPolicy(effect=SideEffect.WRITE, expected_seconds=0.01, timeout_seconds=10)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        path = existing_file(context.root, arguments["path"])
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise ToolError(f"{arguments['path']} is no UTF-8 text, so it cannot be edited.") from error
        count = text.count(arguments["old_text"])
        if count == 0:
            raise ToolError(f"old_text does not occur in {arguments['path']}; read the file and copy the text exactly.")
        if count > 1:
            raise ToolError(
                f"old_text occurs {count} times in {arguments['path']}; add lines around it to make it unique."
            )
        line = text[: text.index(arguments["old_text"])].count("\n") + 1
        replace_file(path, text.replace(arguments["old_text"], arguments["new_text"]))
        return ToolResult(
            True, f"Edited {arguments['path']} at line {line}.", {"path": arguments["path"], "line": line}
        )
