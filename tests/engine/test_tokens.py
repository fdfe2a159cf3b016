"""Ids and names are found in free text, and those of one kind look alike."""

import pytest

from speculation.engine.tokens import MAX_SHORT, periods_in, shapes_of, tokens_by_shape, tokens_of


@pytest.mark.parametrize(
    ("token", "shape"),
    [("omar_davis_3817", "a_a_9"), ("JG7FMM", "X6"), ("#W1234567", "#A9"), ("92164", "99999"), ("src/app.py", "path")],
)
def test_ids_of_one_kind_share_a_shape(token: str, shape: str) -> None:
    assert shape in shapes_of(token)


def test_tokens_are_found_without_the_punctuation_round_them() -> None:
    tokens = tokens_by_shape(
        "It's order #W123, mail me at ann@example.com. See 'the red one' and https://example.org/a?b=1."
    )
    assert tokens["#A9"] == ["#W123"]
    assert tokens["email"] == ["ann@example.com"]
    assert "the red one" in tokens["quoted"]
    assert tokens["url"] == ["https://example.org/a?b=1"]


def test_plain_words_are_tokens_of_short_texts_alone() -> None:
    assert tokens_of("Find out about (grey) newts.", with_words=True)["a"] == ["out", "about", "grey", "newts"]
    assert "a" not in tokens_of("Find out about newts.")
    assert "a" not in tokens_of("newts " * (MAX_SHORT + 1), with_words=True)


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("actor:2021\u2013present:_fame", [(2021, 9999)]),
        ("1980s_to_present", [(1980, 9999)]),
        ("the 2010s: Ireland", [(2010, 2019)]),
        ("(1982-86) and 2006 to 2012", [(1982, 1986), (2006, 2012)]),
        ("in 2015, no. 20150101-20150301, 2015-2010, commit 1998a", []),
    ],
)
def test_periods_of_years_are_read_as_people_write_them(text: str, periods: list[tuple[int, int]]) -> None:
    assert periods_in(text) == periods
