"""Results are read whatever shape they come in, and equal values have equal keys."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speculation.engine.values import Parsed, key_of, parse, shapes_of, tokens_by_shape

QUICK = settings(max_examples=60, deadline=None)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@QUICK
@given(JSON_VALUES.filter(lambda value: isinstance(value, (dict, list))))
def test_json_text_is_read_as_the_value_it_says(value: object) -> None:
    assert parse(json.dumps(value)) == (value, "")


@QUICK
@given(JSON_VALUES.filter(lambda value: isinstance(value, (dict, list))))
def test_a_python_literal_is_read_as_the_value_it_says(value: object) -> None:
    assert parse(repr(value)) == (value, "")


@QUICK
@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    parsed = Parsed(text)
    assert isinstance(parsed.leaves, dict)
    assert isinstance(parsed.tokens, dict)


def test_json_inside_text_is_found_and_the_text_is_kept() -> None:
    structured, text = parse('Found 2 users:\n[{"id": "u1"}, {"id": "u2"}]\nDone.')
    assert structured == [{"id": "u1"}, {"id": "u2"}]
    assert "Found 2 users" in text and "Done." in text


def test_leaves_name_lists_and_mappings_whose_keys_are_ids() -> None:
    leaves = Parsed(
        {"orders": ["#W1", "#W2"], "payment_methods": {"card_1": {"last": "7"}, "card_2": {"last": "8"}}}
    ).leaves
    assert leaves[".orders[*]"] == ["#W1", "#W2"]
    assert leaves[".payment_methods.~key"] == ["card_1", "card_2"]
    assert leaves[".payment_methods{*}.last"] == ["7", "8"]


def test_json_text_inside_a_json_value_is_opened() -> None:
    assert Parsed([{"type": "text", "text": '{"user": {"id": "u7"}}'}]).leaves["[*].text.user.id"] == ["u7"]


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


def test_one_is_neither_true_nor_the_text_one() -> None:
    assert len({key_of(1), key_of(True), key_of("1"), key_of([1])}) == 4
    assert key_of(1) == key_of(1.0)
