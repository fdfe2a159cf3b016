"""A result is read once, whatever it is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from speculation.engine.reading import Parsed


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    parsed = Parsed(text)
    assert isinstance(parsed.leaves, dict)
    assert isinstance(parsed.tokens, dict)
