"""Names of files are found in any text, and prose is not taken for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speculation.engine.paths import LONGEST_TEXT, Places, is_below, names_in


def test_names_of_git_diff_lose_their_prefix() -> None:
    assert names_in("diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/b.py") == ["src/a.py", "src/b.py"]


@pytest.mark.parametrize("text", ["e.g. this", "version 1.2.3", "https://host.example/a/b.html", "i.e. no"])
def test_prose_numbers_and_addresses_are_no_files(text: str) -> None:
    assert names_in(text) == []


@pytest.mark.parametrize("text", ["${ROOT}/src/a.py", "<dir>/a.py", "$(pwd)/src/a.py", "*/a.py", "dirs[0]/a.py"])
def test_what_follows_a_hole_in_a_path_is_not_taken_for_an_absolute_one(text: str) -> None:
    assert names_in(text) == []


@given(st.text(max_size=300))
def test_any_text_can_be_searched_for_names_and_holds_what_is_found(text: str) -> None:
    assert all(name in text for name in names_in(text))


def test_a_text_is_searched_only_to_a_limit() -> None:
    assert names_in("x " * LONGEST_TEXT + "late.py") == []


@pytest.mark.parametrize(
    ("name", "is_one"), [("src/a.py", True), ("a.py", False), ("/app/a.py", False), ("../a.py", False)]
)
def test_only_a_name_that_says_its_directory_needs_no_more_than_a_place_to_begin(name: str, is_one: bool) -> None:
    assert is_below(name) is is_one


def test_a_hidden_directory_in_somebodys_home_does_not_tell_where_relative_names_belong() -> None:
    places = Places()
    places.learn("/home/me/.agent/log/run.txt")
    assert places.place(".agent/rules.md") == "/home/me/.agent/rules.md"
    assert places.place("src/main.go") is None
    places.learn("/app/src/cli/root.go")
    assert places.place("src/main.go") == "/app/src/main.go"
    assert places.place("docs/a.md") == "/app/docs/a.md", "a directory that is not hidden does"


def test_a_path_is_told_by_whether_it_lies_below_the_root_and_in_a_directory_that_was_written() -> None:
    places = Places()
    places.learn("/app/src/root.go")
    assert [places.whereabouts(path) for path in (None, "/tmp/a.go", "/app/src/a.go")] == [0, 1, 2]
    places.settle("/app")
    known = ["/app/cli/a.go", "/app/src/a.go", "/tmp/a.go"]
    assert [places.whereabouts(path) for path in known] == [3, 4, 5]
    places.learn("/tmp/b.go")
    assert places.whereabouts("/tmp/a.go") == 5, "of a directory at the top nothing is above"
    places.learn("/var/log/b.txt")
    assert places.whereabouts("/var/log/a.txt") == 6
