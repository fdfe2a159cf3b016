"""The path jail: what a tool may open lies inside its root, also after every symbolic link is followed."""

from pathlib import Path

from tools.base import Forbidden, ToolError


def resolve_inside(root: Path, path: str) -> Path:
    """The real path of `path`, taken relative to `root`. Raises Forbidden for anything outside `root`."""
    base = existing_root(root)
    if "\0" in path:
        raise Forbidden("A path may not contain a NUL character.")
    try:
        resolved = (base / path).resolve()
    except (OSError, RuntimeError) as error:
        raise ToolError(f"{path}: cannot be followed ({type(error).__name__}); give a plain path.") from error
    if not resolved.is_relative_to(base):
        raise Forbidden(f"{path} lies outside the working directory; use a path relative to it, such as 'src/main.py'.")
    return resolved


def existing_root(root: Path) -> Path:
    """The real path of `root`. Raises ToolError for a session without files, rather than make the folder."""
    if not root.is_dir():
        raise ToolError("This session has no working directory, so it has no files and runs no commands.")
    return root.resolve()


def existing_file(root: Path, path: str) -> Path:
    """The real path of a regular file inside `root`."""
    resolved = resolve_inside(root, path)
    if resolved.is_dir():
        raise ToolError(f"{path} is a directory; use list_files to see what is in it.")
    if not resolved.is_file():
        raise ToolError(f"{path} does not exist; use list_files to see which files there are.")
    return resolved


def shown(root: Path, path: Path) -> str:
    """`path` as the agent knows it: relative to `root`, with forward slashes."""
    return path.relative_to(root.resolve()).as_posix()
