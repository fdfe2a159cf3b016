"""Search the text of files."""

from collections.abc import Iterator, Mapping
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolError, ToolPolicy, ToolResult
from tools.builtin.list_files import SKIPPED
from tools.jail import resolve_inside, shown
from tools.processes import run_child
from tools.schema import arguments_schema, text, yes_or_no

MAX_MATCHES = 200
MAX_LINE_CHARACTERS = 300
MAX_OUTPUT_BYTES = 8_000_000
TIMEOUT_SECONDS = 20.0


class SearchText(Tool):
    name = "search_text"
    description = "Find lines that match a regular expression (Perl syntax) in the text files of the working directory."
    parameters = arguments_schema(
        required=["pattern"],
        pattern=text("Regular expression, matched line by line.", minLength=1, maxLength=1000),
        path=text("File or directory to search in. Default: all."),
        files=text("Only file names that match, such as '*.py'."),
        ignore_case=yes_or_no("Default: false."),
    )
    policy = ToolPolicy(
        effect=SideEffect.NONE, expected_seconds=0.1, timeout_seconds=TIMEOUT_SECONDS + 5, ttl_seconds=30
    )

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        where = resolve_inside(context.root, arguments.get("path", "."))
        if not where.exists():
            raise ToolError(f"{arguments['path']} does not exist; use list_files to see which files there are.")
        # grep, not re: a hostile expression cannot hang it for good, and a child can be stopped
        words = [
            "grep",
            "-rnIHZsP",
            "--binary-files=without-match",
            *(f"--exclude-dir={name}" for name in sorted(SKIPPED)),
        ]
        words += ["-i"] if arguments.get("ignore_case") else []
        words += [f"--include={arguments['files']}"] if arguments.get("files") else []
        words += ["-e", arguments["pattern"], "--", shown(context.root, where)]
        finished = run_child(words, context, timeout_seconds=TIMEOUT_SECONDS, max_output_bytes=MAX_OUTPUT_BYTES)
        if finished.left_out:
            raise ToolError("Far too many lines match; use a narrower pattern, a path, or a pattern for file names.")
        if finished.exit_code > 1 and finished.output and b"\0" not in finished.output:
            raise ToolError(f"The pattern cannot be searched for: {finished.output.decode('utf-8', 'replace').strip()}")
        return _answer(
            sorted(_matches(finished.output.decode("utf-8", "replace")), key=lambda m: (m["path"], m["line"]))
        )


def _matches(output: str) -> Iterator[dict[str, Any]]:
    for row in output.split("\n"):
        path, separator, rest = row.partition("\0")
        number, colon, text = rest.partition(":")
        if separator and colon and number.isdigit():
            yield {"path": path.removeprefix("./"), "line": int(number), "text": text[:MAX_LINE_CHARACTERS]}


def _answer(matches: list[dict[str, Any]]) -> ToolResult:
    kept = matches[:MAX_MATCHES]
    lines = [f"{match['path']}:{match['line']}: {match['text']}" for match in kept]
    if len(matches) > len(kept):
        lines.append(f"[{len(matches)} lines match, the first {len(kept)} are shown; use a narrower pattern]")
    return ToolResult(True, "\n".join(lines) or "No line matches.", {"matches": kept, "count": len(matches)})
