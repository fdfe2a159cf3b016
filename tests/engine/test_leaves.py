"""Leaves have paths that name lists, mappings by id and what stands inside texts."""

from speculation.engine.reading import Parsed


def test_leaves_name_lists_and_mappings_whose_keys_are_ids() -> None:
    leaves = Parsed(
        {"orders": ["#W1", "#W2"], "payment_methods": {"card_1": {"last": "7"}, "card_2": {"last": "8"}}}
    ).leaves
    assert leaves[".orders[*]"] == ["#W1", "#W2"]
    assert leaves[".payment_methods.~key"] == ["card_1", "card_2"]
    assert leaves[".payment_methods{*}.last"] == ["7", "8"]


def test_json_text_inside_a_json_value_is_opened() -> None:
    assert Parsed([{"type": "text", "text": '{"user": {"id": "u7"}}'}]).leaves["[*].text.user.id"] == ["u7"]
