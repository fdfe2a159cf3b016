"""What PostgreSQL refuses is found before it is asked."""

import json

import pytest

from speculation.storable import unstorable


@pytest.mark.parametrize(
    "value", ["", "Grüße \N{GRINNING FACE}", {"a": ["\n", None, 1.5, "\\u0061"]}, json.loads('"\\ud83d\\ude00"'), 7]
)
def test_ordinary_values_can_be_stored(value: object) -> None:
    assert unstorable(value) == ""


@pytest.mark.parametrize("value", ["a\0", {"a\0": 1}, [["\0"]], "\ud800", {"a": "\udfff"}])
def test_the_zero_character_and_half_a_pair_cannot(value: object) -> None:
    assert "holds" in unstorable(value)
