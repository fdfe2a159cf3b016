"""What a call's result has to do with files: a directory's listing is told from what a file says."""

from typing import Any

import pytest

from speculation.engine.file_calls import is_listing
from speculation.engine.types import Event, EventKind, ToolTraits
from speculation.engine.workspace import Workspace

LOOK = ToolTraits("look", reads_only=True, changes_world=False)


def files_after(*looked_at: tuple[str, Any]) -> list[str]:
    """The files that are known after these paths were looked at, each with what it gave."""
    workspace = Workspace()
    for turn, (path, result) in enumerate(looked_at, start=1):
        event = Event(EventKind.TOOL, turn, tool="look", status="ok", arguments={"path": path}, result=result)
        workspace.observe(event, LOOK)
    return workspace.values("files")


@pytest.mark.parametrize(
    "listing",
    [
        "[DIR] old\n[FILE] look.md\n[FILE] a.py",
        "look.md   12 KB\na.py   3 B\nTotal: 2 files, of 3 kilobytes",
        "├── look.md\n└── a.py",
        {"entries": [{"name": "look.md", "type": "file"}, {"name": "a.py", "type": "file"}]},
    ],
)
def test_names_that_a_tool_gives_for_a_directory_belong_to_it(listing: Any) -> None:
    files = files_after(("/app/docs", listing))
    assert {"/app/docs/look.md", "/app/docs/a.py"} <= set(files) and "/app/docs" not in files
    assert "/app/docs/look.md" in files_after(("/app/docs/b.md", ""), ("docs/", listing))


def test_a_name_in_a_listing_belongs_there_though_another_directory_has_one_too() -> None:
    assert "/app/src/README.md" in files_after(("/app/docs/README.md", ""), ("/app/src", "README.md\na.py"))


def test_what_a_file_says_is_no_list_of_names() -> None:
    says = "all: a.py\n\tpython a.py --out out.txt\n# see notes.md for more of it\n"
    assert files_after(("/app/Makefile", says)) == ["/app/Makefile"]
    assert not is_listing("/app/names.txt", "a.py\nb.py"), "a file's name has an extension"
    assert not is_listing("/app/docs", "")
