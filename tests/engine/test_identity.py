"""Equal values have equal keys, and only they."""

from speculation.engine.identity import key_of


def test_one_is_neither_true_nor_the_text_one() -> None:
    assert len({key_of(1), key_of(True), key_of("1"), key_of([1])}) == 4
    assert key_of(1) == key_of(1.0)
