"""Names of files are found in any text, and prose is not taken for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speculation.engine.paths import LONGEST_TEXT, is_below, names_in


def test_names_of_git_diff_lose_their_prefix() -> None:
    assert names_in("diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/b.py") == ["src/a.py", "src/b.py"]


@pytest.mark.parametrize("text", ["e.g. this", "version 1.2.3", "https://host.example/a/b.html", "i.e. no"])
def test_prose_numbers_and_addresses_are_no_files(text: str) -> None:
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
