"""Run one program in the working directory."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.commands import only_reads, refuse_paths_outside, split
from tools.processes import run_child
from tools.schema import arguments_schema, text

MAX_OUTPUT_BYTES = 40_000
TIMEOUT_SECONDS = 60.0

_DURATION = re.compile(r"\b\d+(?:\.\d+)?(?= ?(?:s|ms|sec|seconds)\b)")


class RunCommand(Tool):
    name = "run_command"
    description = (
        "Run one program with arguments in the working directory, such as 'python -m pytest -q tests'. "
        "No shell: no pipes, redirections, variables or wildcards."
    )
    parameters = arguments_schema(
        required=["command"],
        command=text("Program and arguments.", minLength=1, maxLength=10_000),
        description=text("Why, in a few words."),
    )
    policy = ToolPolicy(
        effect=SideEffect.UNKNOWN,
        cosmetic_arguments=frozenset({"description"}),
        shell_argument="command",
        expected_seconds=1.0,
        timeout_seconds=TIMEOUT_SECONDS + 5,
        ttl_seconds=30,
    )
    volatile = frozenset({"output"})
    """Test runners print how long they took; `steady_output` is the same text without such durations."""

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        words = split(arguments["command"])
        refuse_paths_outside(context.root, words)
        finished = run_child(words, context, timeout_seconds=TIMEOUT_SECONDS, max_output_bytes=MAX_OUTPUT_BYTES)
        output = _relative(finished.output.decode("utf-8", "replace"), context.root)
        structured = {
            "exit_code": finished.exit_code,
            "output": output,
            "steady_output": _DURATION.sub("#", output),
            "left_out_bytes": finished.left_out,
        }
        content = f"exit code {finished.exit_code}\n{output}".rstrip()
        return ToolResult(finished.exit_code == 0, content, structured)

    def effect_of(self, arguments: Mapping[str, Any]) -> SideEffect:
        return SideEffect.NONE if only_reads(str(arguments.get("command", ""))) else SideEffect.UNKNOWN


def _relative(output: str, root: Path) -> str:
    """Paths inside the root as the agent must write them, so that every copy of a world answers the same."""
    for prefix in {str(root.resolve()), str(root)}:
        output = output.replace(f"{prefix}/", "").replace(prefix, ".")
    return output
