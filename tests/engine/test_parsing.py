"""Results are read whatever shape they come in."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speculation.engine.parsing import parse

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


def test_json_inside_text_is_found_and_the_text_is_kept() -> None:
    structured, text = parse('Found 2 users:\n[{"id": "u1"}, {"id": "u2"}]\nDone.')
    assert structured == [{"id": "u1"}, {"id": "u2"}]
    assert "Found 2 users" in text and "Done." in text


@pytest.mark.parametrize(
    "text",
    ["[" * 15_000, '{"a":' * 3_000, "(" * 15_000, "{'a':" * 3_000, "[" * 2_000 + "]" * 2_000, "it is " + "[" * 9_000],
)
def test_what_is_nested_deeper_than_can_be_read_is_text(text: str) -> None:
    assert parse(text) == (None, text)
