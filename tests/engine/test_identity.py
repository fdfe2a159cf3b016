"""Equal values have equal keys, and only they."""

from speculation.engine.identity import key_of


def test_one_is_neither_true_nor_the_text_one() -> None:
    assert len({key_of(1), key_of(True), key_of("1"), key_of([1])}) == 4
    assert key_of(1) == key_of(1.0)


def test_objects_are_equal_whatever_the_order_of_their_names_and_their_values_as_by_themselves() -> None:
    assert key_of({"a": 1, "b": [{"c": None}]}) == key_of({"b": [{"c": None}], "a": 1.0})
    assert key_of({"a": 1}) != key_of({"a": "1"}) != key_of({"a": True})
    assert len({key_of({"a": {"b": 1}}), key_of({"a": {"b": 1.0}}), key_of({"a": {"b": 2}})}) == 2


def test_a_key_grows_as_its_value_does_however_deep_that_is_nested() -> None:
    """Every level once doubled it, and a value forty objects deep would have taken all memory."""
    value: object = 'it\'s "x"'
    for _ in range(18):
        value = {"a": value}
    assert len(repr(key_of(value))) < 1_000
