import gzip
import json
import math
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speculation import traces
from speculation.engine.file_ranking import marks
from speculation.engine.file_weights import TABLES
from speculation.engine.files import MAX_FILES, MAX_VALUES
from speculation.engine.types import Event, EventKind, ToolTraits
from speculation.engine.workspace import Workspace
from tools.shell import is_read_only

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
KINDS = ("files", "names", "unplaced", "commands", "checks", "filled")
TRAITS = {
    "read": ToolTraits("read", reads_only=True, changes_world=False, covers=frozenset({"offset", "limit"})),
    "grep": ToolTraits("grep", reads_only=True, changes_world=False),
    "edit": ToolTraits("edit", reads_only=False, changes_world=True),
    "shell": ToolTraits(
        "shell",
        reads_only=True,
        changes_world=True,
        shell_argument="command",
        reads_call=lambda arguments: is_read_only(arguments["command"]),
    ),
}


def call(tool: str, result: Any = "", turn: int = 0, **arguments: Any) -> Event:
    return Event(EventKind.TOOL, turn=turn, tool=tool, status="ok", arguments=arguments, result=result)


def user(text: str) -> Event:
    return Event(EventKind.USER, text=text)


def after(*events: Event) -> Workspace:
    """The workspace after these events, each call in a turn of its own."""
    workspace = Workspace()
    for turn, event in enumerate(events, start=1):
        own = Event(event.kind, turn, event.text, "", event.tool, event.status, event.arguments, event.result)
        workspace.observe(own, TRAITS.get(event.tool))
    return workspace


def test_relative_names_in_an_output_are_placed_below_the_directory_that_absolute_paths_show() -> None:
    workspace = after(call("read", file_path="/home/me/app/src/a.py"), call("grep", "src/b.py:3: x = 1", pattern="x"))
    assert workspace.values("files")[0] == "/home/me/app/src/b.py"
    assert workspace.values("names")[0] == "src/b.py"


def test_names_from_before_the_directory_was_known_are_placed_once_it_is() -> None:
    seen = after(call("shell", " src/b.py | 3 +-\n", command="git diff --stat"))
    assert seen.values("files") == []
    seen = after(
        call("shell", " src/b.py | 3 +-\n", command="git diff --stat"), call("read", file_path="/home/me/app/src/a.py")
    )
    assert "/home/me/app/src/b.py" in seen.values("files")


def test_an_abbreviated_name_is_the_known_file_that_ends_so_and_no_other() -> None:
    known = call("read", file_path="/app/cmd/cli/main.rs")
    assert after(known, call("shell", " .../cli/main.rs | 2 +", command="git diff --stat")).values("files") == [
        "/app/cmd/cli/main.rs"
    ]
    assert after(known, call("shell", " .../cli/other.rs | 2 +", command="git diff --stat")).values("files") == [
        "/app/cmd/cli/main.rs"
    ]


def test_names_in_a_listing_belong_to_the_directory_that_was_listed() -> None:
    assert "/app/docs/look.md" in after(call("shell", "look.md", command="ls -la /app/docs")).values("files")
    known = call("read", file_path="/app/docs/a.md")
    assert "/app/docs/look.md" in after(known, call("shell", "look.md", command="ls docs/")).values("files")


def test_names_in_a_command_that_moved_first_belong_below_where_it_moved() -> None:
    known = call("read", file_path="/one/internal/a.py")
    moved = call("shell", "internal/c.py:1: x", command="cd /two && grep -n x internal/b.py")
    assert {"/two/internal/b.py", "/two/internal/c.py"} <= set(after(known, moved).values("files"))


def test_the_test_of_a_file_that_was_read_is_listed_and_so_is_what_a_test_tests() -> None:
    assert "/app/a_test.go" in after(call("read", file_path="/app/a.go")).values("files")
    assert "/app/a.go" in after(call("read", file_path="/app/a_test.go")).values("files")
    assert after(call("read", file_path="/app/a.go"), call("read", file_path="b.go")).values("names") == ["b.go"]


def test_a_relative_name_that_nothing_places_is_kept_as_such_until_something_does() -> None:
    asked = user("Please look at src/cli/main.go and README.md")
    assert after(asked).values("unplaced") == ["src/cli/main.go"]
    assert after(asked).values("files") == []
    placed = after(asked, call("read", file_path="/app/src/cli/root.go"))
    assert placed.values("unplaced") == []
    assert "/app/src/cli/main.go" in placed.values("files")


def test_placed_files_and_unplaced_names_share_one_chance() -> None:
    seen = after(user("The log is in /tmp/run.jsonl, the fault in src/main.go or src/other.go"))
    (_, placed, _), *rest = seen.weighed("files")
    unplaced = {name: odds for name, odds, _ in seen.weighed("unplaced")}
    assert rest == []
    assert unplaced.keys() == {"src/main.go", "src/other.go"}
    assert math.isclose(math.exp(placed) + sum(map(math.exp, unplaced.values())), 1.0)
    assert placed < unplaced["src/main.go"]


def test_a_list_is_read_on_where_reading_it_stopped() -> None:
    found = call("grep", "/app/a.py\n/app/b.py\n/app/c.py", pattern="x")
    read = call("read", "x", file_path="/app/a.py")
    assert after(found, read, call("read", "x", file_path="/app/b.py")).values("files")[0] == "/app/c.py"


def test_of_files_found_the_one_that_the_model_spoke_of_comes_earlier() -> None:
    found = call("grep", "/app/server.py\n/app/session.py\n/app/settings.py", pattern="x")
    said = Event(EventKind.LLM, text="Let me look at the settings.")
    assert after(found).values("files") == ["/app/server.py", "/app/session.py", "/app/settings.py"]
    assert after(said, found).values("files") == ["/app/settings.py", "/app/server.py", "/app/session.py"]


def test_the_weights_have_an_entry_for_every_mark() -> None:
    workspace = after(
        user("the words of a.go and b_test.go"),
        Event(EventKind.LLM, text="/app/b_test.go"),
        call("shell", "/app/a.go:1: x\n/app/b_test.go:2: y", command="cd /app && cat a.go"),
        call("read", "x", file_path="/app/a.go"),
        call("plan", "", todos=[{"content": "b_test", "status": "in_progress"}]),
    )
    situation = workspace.files.situation()
    for file in workspace.files.candidates():
        assert len(marks(file, situation)) == len(TABLES)
        assert all(0 <= entry < len(table) for entry, table in zip(marks(file, situation), TABLES, strict=True))


def test_a_file_named_with_a_line_in_an_error_comes_first() -> None:
    workspace = after(
        call("read", file_path="/app/src/a.go"),
        call("read", file_path="/app/src/b.go"),
        call("read", file_path="/app/src/c.go"),
        call("shell", "src/a.go:12:3: undefined: x\nFAIL", command="go test ./..."),
    )
    assert workspace.values("files")[0] == "/app/src/a.go"


def test_a_file_that_was_searched_in_comes_before_one_that_was_read() -> None:
    workspace = after(
        call("read", file_path="/app/a.py"),
        call("grep", "12: def f", pattern="f", path="/app/b.py"),
        call("read", file_path="/app/c.py"),
    )
    assert workspace.values("files").index("/app/b.py") < workspace.values("files").index("/app/a.py")


def test_the_file_edited_last_comes_before_one_edited_long_ago() -> None:
    edits = [call("edit", path=f"/app/{name}.py", new_str="x") for name in "abcdefgh"]
    assert after(*edits).values("files")[0] == "/app/h.py"


def test_the_content_of_a_file_names_no_files() -> None:
    workspace = after(call("read", "see other/place.py and more.md", file_path="/app/a.py"))
    assert workspace.values("files") == ["/app/a.py"]


def test_files_of_a_patch_are_edited_files() -> None:
    patch = "*** Begin Patch\n*** Update File: src/a.py\n@@\n-x\n+y\n*** End Patch"
    assert after(call("edit", input=patch)).values("names") == ["src/a.py"]
    assert after(call("shell", command=f"apply_patch <<'EOF'\n{patch}\nEOF")).values("names") == ["src/a.py"]


def test_commands_that_read_and_commands_that_may_change_something_are_kept_apart() -> None:
    workspace = after(call("shell", command="git status"), call("shell", command="pytest -q"))
    assert workspace.values("commands") == ["git status"]
    assert workspace.values("checks") == ["pytest -q"]


def test_the_command_given_most_often_comes_first_and_of_equals_the_latest() -> None:
    given = ["git status", "ls", "git status", "git diff"]
    assert after(*(call("shell", command=line) for line in given)).values("commands") == [
        "git status",
        "git diff",
        "ls",
    ]


def test_only_the_newest_command_is_marked_as_such() -> None:
    weighed = after(*(call("shell", command=line) for line in ("git status", "git diff"))).weighed("commands")
    assert {value: "commands newest" in marked for value, _, marked in weighed} == {
        "git diff": True,
        "git status": False,
    }


def test_the_odds_of_a_list_are_those_of_one_choice_among_it() -> None:
    workspace = after(call("grep", "/app/a.py /app/b.go /app/c.md", pattern="x"), call("shell", command="ls"))
    for kind in KINDS:
        weighed = workspace.weighed(kind)
        assert [value for value, _, _ in weighed] == workspace.values(kind)
        assert not weighed or abs(sum(math.exp(odds) for _, odds, _ in weighed) - 1.0) < 1e-9


def test_a_command_about_one_file_is_offered_for_the_others() -> None:
    workspace = after(call("shell", "b.py\nc.py", command="cat a.py"))
    assert {"cat b.py", "cat c.py"} <= set(workspace.values("filled"))


def test_a_command_about_one_commit_is_offered_for_those_of_the_newest_output() -> None:
    workspace = after(
        call("shell", command="git show --stat 1a2b3c4"),
        call("shell", "5d6e7f8 Fix\n9a8b7c6 Add", command="git log --oneline"),
    )
    assert workspace.values("filled")[:2] == ["git show --stat 5d6e7f8", "git show --stat 9a8b7c6"]


def test_an_argument_called_command_that_holds_no_command_line_is_none() -> None:
    workspace = after(Event(EventKind.TOOL, tool="view", arguments={"command": "view", "path": "/app/a.py"}))
    assert workspace.values("commands") == []
    assert workspace.values("files") == ["/app/a.py"]


def test_calls_of_one_turn_are_equally_recent() -> None:
    together = Workspace()
    for name in ("a", "b"):
        together.observe(call("read", turn=1, file_path=f"/app/{name}.py"), TRAITS["read"])
    assert len({file.acted_at for file in together.files.candidates()}) == 1


def test_what_the_model_names_is_not_listed_for_that() -> None:
    workspace = after(call("read", file_path="/app/a.py"), Event(EventKind.LLM, text="now /app/b.py"))
    assert workspace.values("files") == ["/app/a.py"]


def test_an_unknown_kind_is_empty_and_so_is_a_new_workspace() -> None:
    assert after(call("read", file_path="/app/a.py")).values("nothing") == []
    assert all(Workspace().values(kind) == [] for kind in KINDS)


def test_a_long_session_keeps_a_bounded_number_of_files() -> None:
    workspace = Workspace()
    for turn in range(60):
        output = "\n".join(f"/app/d{turn}/f{index}.py" for index in range(40))
        workspace.observe(call("grep", output, turn=turn, pattern="x"), TRAITS["grep"])
    assert len(workspace.files.known) == MAX_FILES
    assert sum(map(len, workspace.files.places._paths.values())) == MAX_FILES


def test_a_deeply_nested_result_is_no_error() -> None:
    result: Any = "a.py"
    for _ in range(5000):
        result = [result]
    assert after(call("grep", result, pattern="x")).values("names") == []


words = st.sampled_from(
    [
        "src/a.py",
        "b.go",
        "/app/src/c.py",
        "/app",
        "docs",
        ".../src/a.py",
        "a/src/d.md",
        "1a2b3c4",
        "x.",
        "..",
        "/",
        "é.py",
        "~",
    ]
)
texts = st.lists(words, max_size=6).map(" ".join)
events = st.one_of(
    texts.map(user),
    st.builds(lambda path, out: call("read", out, file_path=path), words, texts),
    st.builds(lambda path, out: call("edit", out, path=path, new_str="x"), words, texts),
    st.builds(lambda path, out: call("grep", out, path=path, pattern="x"), words, texts),
    st.builds(lambda line, out: call("shell", out, command=line), texts.map("cat {}".format), texts),
    st.builds(lambda line, out: call("shell", out, command=line), texts.map("cd /app && ls {}".format), texts),
)


def pieces_of(text: str) -> set[str]:
    """Names in a path or text; a test's name counts as that of what it tests."""
    return {piece.replace("_test.", ".") for piece in re.split(r"[\s/]+", text)}


@given(st.lists(events, max_size=12))
def test_nothing_is_listed_that_the_events_did_not_name(session: list[Event]) -> None:
    workspace = after(*session)
    whole = " ".join(" ".join([e.text, str(e.result), *map(str, e.arguments.values())]) for e in session)
    for kind in KINDS:
        values = workspace.values(kind)
        assert len(set(values)) == len(values) <= MAX_VALUES
        for value in values:
            assert pieces_of(value) <= pieces_of(whole) | {""}
            if kind in ("names", "commands", "checks"):
                assert value in whole


@given(st.lists(events, max_size=12))
def test_the_same_events_give_the_same_lists(session: list[Event]) -> None:
    one, other = after(*session), after(*session)
    assert [one.values(kind) for kind in KINDS] == [other.values(kind) for kind in KINDS]


def test_most_files_that_a_recorded_agent_reads_next_are_among_the_first_three() -> None:
    """The next file read, in the first recorded coding sessions; .69 on all of them."""
    recorded = TRACES / "entire_claude_code.jsonl.gz"
    if not recorded.exists():
        pytest.skip("the recorded sessions are not here")
    effects = traces.Effects.read(TRACES / "effects.json")
    asked = found = 0
    with gzip.open(recorded, "rt") as lines:
        for line in islice(lines, 40):
            workspace = Workspace()
            for event in traces.parse(json.loads(line)).to_events():
                if event.tool == "Read":
                    asked += 1
                    found += event.arguments["file_path"] in workspace.values("files")[:3]
                workspace.observe(event, effects.traits("entire_claude_code", event.tool))
    assert found / asked > 0.55


def test_what_was_done_with_the_likeliest_file_is_a_sign_and_without_files_there_is_none() -> None:
    assert after(user("hello there")).signs() == after(user("I am ann.lee, my order is W1.x")).signs() == []
    read, edited = call("read", file_path="/app/a.py"), call("edit", file_path="/app/a.py", old_string="x")
    assert after(read).signs() != after(read, edited).signs()
    assert all(sign.startswith("file ") for sign in after(read).signs())
