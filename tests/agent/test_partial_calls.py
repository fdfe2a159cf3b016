"""Arguments are complete when nothing can be added to them, and never before."""

import json

import pytest

from speculation.agent.partial_calls import PartialArguments, read_partial


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PartialArguments({})),
        ("{", PartialArguments({})),
        ('{"na', PartialArguments({})),
        ('{"name": "Ad', PartialArguments({}, "name", "Ad")),
        ('{"name": "Ada"', PartialArguments({"name": "Ada"})),
        ('{"name": "Ada", "ag', PartialArguments({"name": "Ada"})),
        ('{"name": "Ada", "city": "', PartialArguments({"name": "Ada"}, "city", "")),
        ('{"age": 12', PartialArguments({})),
        ('{"age": 12, "name": "A', PartialArguments({"age": 12}, "name", "A")),
        ('{"age": 12}', PartialArguments({"age": 12})),
        ('{"ids": ["a", "b"', PartialArguments({})),
        ('{"ids": ["a"], "x": {"y": "z', PartialArguments({"ids": ["a"]})),
        ("[1, 2", PartialArguments({})),
        ("no json", PartialArguments({})),
        ('{"a": "\ud800', PartialArguments({})),
    ],
)
def test_what_is_certain_of_a_beginning(text: str, expected: PartialArguments) -> None:
    assert read_partial(text) == expected


def test_no_beginning_says_what_the_whole_does_not() -> None:
    whole = {
        "path": 'a "b"\\n.txt',
        "lines": [1, 2.5, {"deep": "é"}],
        "n": 120,
        "ok": True,
        "none": None,
        "last": "end",
    }
    text = json.dumps(whole)
    for end in range(len(text) + 1):
        said = read_partial(text[:end])
        assert all(whole[name] == value for name, value in said.complete.items())
        assert not said.name or str(whole[said.name]).startswith(said.value)
    assert read_partial(text).complete == whole
