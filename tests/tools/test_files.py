"""Listing, reading, searching, writing and editing files inside a root that cannot be left."""

import os
from pathlib import Path
from typing import Any

import pytest

from tools.base import SideEffect, ToolContext, ToolResult
from tools.catalog import BUILTIN
from tools.running import cut_out, execute


def ask(context: ToolContext, tool: str, **arguments: Any) -> ToolResult:
    return execute(BUILTIN[tool], arguments, context)


@pytest.fixture
def outside(context: ToolContext) -> Path:
    """A secret beside the root, and links inside that lead to it."""
    secret = context.root.parent / "secret.txt"
    secret.write_text("top secret")
    (context.root / "link.txt").symlink_to(secret)
    (context.root / "up").symlink_to(context.root.parent)
    return secret


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "link.txt", "up/secret.txt", "a/../../secret.txt"])
@pytest.mark.parametrize("tool", ["read_file", "write_file", "edit_file", "list_files", "search_text", "run_command"])
def test_no_tool_reaches_outside_the_root(context: ToolContext, outside: Path, tool: str, path: str) -> None:
    more = {
        "write_file": {"text": "x"},
        "edit_file": {"old_text": "top", "new_text": "no"},
        "search_text": {"pattern": "secret"},
    }
    arguments = {"command": f"cat {path}"} if tool == "run_command" else {"path": path, **more.get(tool, {})}
    result = ask(context, tool, **arguments)
    assert not result.ok and "outside the working directory" in result.content
    assert outside.read_text() == "top secret"


def test_searching_everything_does_not_follow_links_out(context: ToolContext, outside: Path) -> None:
    assert ask(context, "search_text", pattern="secret").structured == {"matches": [], "count": 0}
    assert [file["path"] for file in ask(context, "list_files").structured["files"]] == ["link.txt", "up"]


def test_what_was_written_is_listed_read_and_found(context: ToolContext) -> None:
    ask(context, "write_file", path="src/b.py", text="import os\nprint('ä')\n")
    ask(context, "write_file", path="a.txt", text="os\n")
    listed = ask(context, "list_files").structured["files"]
    assert listed == [{"path": "a.txt", "bytes": 3}, {"path": "src/b.py", "bytes": 22}]
    assert [f["path"] for f in ask(context, "list_files", pattern="*.py").structured["files"]] == ["src/b.py"]
    assert [f["path"] for f in ask(context, "list_files", recursive=False).structured["files"]] == ["a.txt"]
    assert ask(context, "read_file", path="src/b.py").content == "import os\nprint('ä')"
    found = ask(context, "search_text", pattern=r"\bos\b").structured["matches"]
    assert [(match["path"], match["line"]) for match in found] == [("a.txt", 1), ("src/b.py", 1)]
    assert ask(context, "search_text", pattern="OS", ignore_case=True, files="*.py").structured["count"] == 1
    assert ask(context, "search_text", pattern="os", path="src").content == "src/b.py:1: import os"


def test_a_failed_look_says_what_to_do(context: ToolContext) -> None:
    (context.root / "folder").mkdir()
    assert "use list_files" in ask(context, "read_file", path="none.txt").content
    assert "is a directory" in ask(context, "read_file", path="folder").content
    assert "is a directory" in ask(context, "write_file", path="folder", text="x").content
    assert "cannot be searched for" in ask(context, "search_text", pattern="(").content
    assert "NUL" in ask(context, "read_file", path="a\0b").content


def test_a_session_without_a_root_has_no_files(tmp_path: Path) -> None:
    nowhere = ToolContext(root=tmp_path / "none")
    for tool, arguments in (
        ("list_files", {}),
        ("write_file", {"path": "a", "text": "x"}),
        ("run_command", {"command": "ls"}),
    ):
        assert "no working directory" in execute(BUILTIN[tool], arguments, nowhere).content
    assert not nowhere.root.exists()


def test_a_range_of_lines_may_be_read(context: ToolContext) -> None:
    ask(context, "write_file", path="n.txt", text="".join(f"{n}\n" for n in range(1, 3001)))
    assert ask(context, "read_file", path="n.txt", first_line=5, last_line=6).structured["text"] == "5\n6"
    whole = ask(context, "read_file", path="n.txt")
    assert whole.structured["last_line"] == 2000 and "first_line=2001" in whole.content
    assert "only 3000 lines" in ask(context, "read_file", path="n.txt", first_line=3001).content
    assert ask(context, "read_file", path="n.txt", first_line=9, last_line=3).structured["text"] == ""


@pytest.mark.parametrize(
    "text",
    ["", "\n", "one", "one\ntwo", "one\ntwo\n\n", "one\r\ntwo\r\n", "one\n\0\nthree", "one\r\0\ntwo", "\x0ctwo\u2028"],
)
@pytest.mark.parametrize("extra", [{}, {"first_line": 1}, {"first_line": 2}, {"first_line": 1, "last_line": 1}])
def test_a_part_taken_from_a_whole_file_equals_reading_it(
    context: ToolContext, text: str, extra: dict[str, int]
) -> None:
    (context.root / "f.txt").write_bytes(text.encode())
    tool, part = BUILTIN["read_file"], {"path": "f.txt", **extra}
    whole = execute(tool, {"path": "f.txt"}, context)
    direct = execute(tool, part, context)
    assert tool.project(whole, {"path": "f.txt"}, part) == (direct if direct.ok else None)


def test_a_cut_or_other_file_serves_no_part(context: ToolContext) -> None:
    ask(context, "write_file", path="n.txt", text="x\n" * 3000)
    tool = BUILTIN["read_file"]
    whole = execute(tool, {"path": "n.txt"}, context)
    assert tool.project(whole, {"path": "n.txt"}, {"path": "n.txt", "first_line": 2}) is None
    assert tool.project(whole, {"path": "n.txt"}, {"path": "m.txt", "first_line": 2}) is None


def test_a_whole_cut_for_storage_serves_no_part(context: ToolContext) -> None:
    (context.root / "wide.txt").write_text("x" * 500_000)
    whole = execute(BUILTIN["read_file"], {"path": "wide.txt"}, context)
    assert "more characters left out" in whole.structured["text"]
    assert cut_out(BUILTIN["read_file"], whole, {"path": "wide.txt"}, {"path": "wide.txt", "first_line": 1}) is None


@pytest.mark.parametrize("extra", [{"first_line": 0}, {"first_line": "1"}, {"line": 1}])
def test_no_part_is_cut_out_for_arguments_that_do_not_fit_or_out_of_an_error(
    context: ToolContext, extra: dict[str, Any]
) -> None:
    (context.root / "f.txt").write_text("one\n")
    tool = BUILTIN["read_file"]
    whole, none = (execute(tool, {"path": path}, context) for path in ("f.txt", "none.txt"))
    assert cut_out(tool, whole, {"path": "f.txt"}, {"path": "f.txt", **extra}) is None
    assert cut_out(tool, none, {"path": "none.txt"}, {"path": "none.txt", "first_line": 1}) is None


def test_what_a_tool_covers_is_pinned_with_its_definition() -> None:
    assert BUILTIN["read_file"].definition["annotations"]["covers"] == ["first_line", "last_line"]
    assert "covers" not in BUILTIN["list_files"].definition["annotations"]


def test_an_edit_needs_its_text_exactly_once(context: ToolContext) -> None:
    path = context.root / "f.py"
    path.write_bytes(b"a = 1\r\nb = 1\r\n")
    assert "occurs 2 times" in ask(context, "edit_file", path="f.py", old_text="= 1", new_text="= 2").content
    assert "does not occur" in ask(context, "edit_file", path="f.py", old_text="c", new_text="d").content
    assert ask(context, "edit_file", path="f.py", old_text="b = 1", new_text="b = 2").structured["line"] == 2
    assert path.read_bytes() == b"a = 1\r\nb = 2\r\n"


def test_a_write_keeps_the_file_mode_and_leaves_no_other_file(context: ToolContext) -> None:
    path = context.root / "run.sh"
    path.write_text("old")
    path.chmod(0o755)
    assert ask(context, "write_file", path="run.sh", text="new").ok
    assert path.stat().st_mode & 0o777 == 0o755 and os.listdir(context.root) == ["run.sh"]


def test_the_declared_effects_are_what_the_tools_do() -> None:
    reads = {name for name, tool in BUILTIN.items() if tool.policy.effect == SideEffect.NONE}
    assert reads == {
        "list_files",
        "read_file",
        "search_text",
        "fetch_page",
        "search_documents",
        "query_table",
        "get_record",
        "list_records",
    }
    assert BUILTIN["write_file"].policy.effect.may_repeat and BUILTIN["update_record"].policy.effect.may_repeat
    assert not BUILTIN["edit_file"].policy.effect.may_repeat and not BUILTIN["run_command"].policy.effect.may_repeat
