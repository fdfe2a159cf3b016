"""List the files of a directory."""

import os
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolError, ToolPolicy, ToolResult, ToolStopped
from tools.jail import resolve_inside, shown
from tools.schema import arguments_schema, text, yes_or_no

MAX_ENTRIES = 1000
SKIPPED = frozenset({".git", "__pycache__", ".venv", "node_modules", ".pytest_cache", ".mypy_cache"})


class ListFiles(Tool):
    name = "list_files"
    description = "List files under a directory of the working directory, with their sizes in bytes, sorted by path."
    parameters = arguments_schema(
        path=text("Directory, relative to the working directory. Default: all."),
        pattern=text("Only file names that match, such as '*.py'."),
        recursive=yes_or_no("Also in sub-directories. Default: true."),
    )
    policy = ToolPolicy(effect=SideEffect.NONE, expected_seconds=0.02, timeout_seconds=10, ttl_seconds=30)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        directory = resolve_inside(context.root, arguments.get("path", "."))
        if not directory.is_dir():
            raise ToolError(f"{arguments.get('path')} is no directory; call list_files without a path to see all.")
        files: list[dict[str, Any]] = []
        is_cut = False
        for path in _walk(directory, arguments.get("recursive", True)):
            if context.should_stop():
                raise ToolStopped
            if not fnmatch(path.name, arguments.get("pattern", "*")):
                continue
            if len(files) == MAX_ENTRIES:
                is_cut = True
                break
            files.append({"path": shown(context.root, path), "bytes": path.lstat().st_size})
        lines = [f"{file['bytes']:>9}  {file['path']}" for file in files]
        if is_cut:
            lines.append(f"[cut after {MAX_ENTRIES} files; name a sub-directory or a pattern]")
        return ToolResult(True, "\n".join(lines) or "No files.", {"files": files, "cut": is_cut})


def _walk(directory: Path, recursive: bool) -> Iterator[Path]:
    """Files below `directory` in the order of their names; links to directories are not followed."""
    with os.scandir(directory) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if not entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)
        elif recursive and entry.name not in SKIPPED:
            yield from _walk(Path(entry.path), recursive)
