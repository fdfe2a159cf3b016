"""tools/canonical.py: the quick way and the long way to a value's one text are the same way."""

from typing import Any

import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from tools.canonical import _plain_object, canonical_json

TEXTS = st.text() | st.text(st.characters(max_codepoint=127))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
@example({"b": 'a "quoted" \\ back\b\f\n\r\t\x00\x1f\x7f', "a": -1, "": None, "c": True, "B": False})
@example({"\ufb33": 1, "\U0001f600": 2})
def test_the_text_is_that_of_the_standard(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value).decode()


@given(
    st.dictionaries(
        st.text(st.characters(max_codepoint=127)), st.none() | st.booleans() | st.integers(-9, 9), min_size=1
    )
)
def test_plain_arguments_take_the_quick_way(value: Any) -> None:
    assert _plain_object(value) is not None


def test_what_the_standard_does_not_know_has_a_text_all_the_same() -> None:
    assert canonical_json({"n": 2**60}) == '{"n":1152921504606846976}'
    assert canonical_json({1: "one"}) == '{"1":"one"}'
    assert canonical_json({"a": True}) != canonical_json({"a": 1})
