"""What streamed bears on what may come: words lift, written arguments decide, a named change ends all, a seal is certain."""

from dataclasses import replace

import pytest

from speculation.engine.evidence import Evidence
from speculation.engine.mentions import Mentions, words_of
from speculation.engine.sharpening import Sharpener
from speculation.engine.types import Prediction, ToolTraits
from tools.base import ToolCall

TOOLS = {
    "get_order": ToolTraits("get_order", reads_only=True, changes_world=False),
    "get_user": ToolTraits("get_user", reads_only=True, changes_world=False),
    "find_flight": ToolTraits("find_flight", reads_only=True, changes_world=False),
    "read_file": ToolTraits(
        "read_file", True, False, covers=frozenset({"offset"}), cosmetic_arguments=frozenset({"why"})
    ),
    "cancel_order": ToolTraits("cancel_order", reads_only=False, changes_world=True),
    "bash": ToolTraits(
        "bash", True, True, shell_argument="command", reads_call=lambda a: a.get("command", "").startswith("ls")
    ),
}


def guess(tool: str, now: float, soon: float, **arguments: object) -> Prediction:
    return Prediction(ToolCall(tool, arguments), now, soon, f"* => {tool}", 3.0)


ORDERS = [
    guess("get_order", 0.15, 0.3, order_id="#W1001"),
    guess("get_order", 0.10, 0.3, order_id="#W1002"),
    guess("get_order", 0.05, 0.2, order_id="#W2003"),
    guess("get_user", 0.20, 0.4, user_id="ada_1"),
    guess("cancel_order", 0.10, 0.1, order_id="#W1001"),
]


def after(evidence: Evidence, candidates: list[Prediction] = ORDERS) -> dict[str, Prediction]:
    """What stands, by its call in short."""
    return {short(p.call): p for p in Sharpener(candidates, TOOLS).sharpen(evidence, k=9)}


def short(call: ToolCall) -> str:
    return " ".join([call.tool, *map(str, call.arguments.values())])


def test_no_evidence_leaves_all_as_it_was() -> None:
    standing = after(Evidence())
    for one in ORDERS:
        assert standing[short(one.call)].probability == pytest.approx(one.probability)
        assert standing[short(one.call)].probability_before_write == pytest.approx(one.probability_before_write)


def test_a_value_named_in_the_text_lifts_its_call_above_the_others_of_its_tool() -> None:
    standing = after(Evidence("Let me look at #W1002, please."))
    assert standing["get_order #W1002"].probability > 0.10
    assert standing["get_order #W1001"].probability < 0.15
    assert standing["get_order #W1002"].probability_before_write > 0.3


def test_words_of_a_tools_name_lift_all_its_calls() -> None:
    standing = after(Evidence("I will look at the user "))
    assert standing["get_user ada_1"].probability > 0.20
    assert standing["get_order #W1001"].probability < 0.15


def test_a_word_counts_once_it_is_over() -> None:
    mentions = Mentions(["#w1"], ["get_order"])
    assert not mentions.read("See #W1")
    assert not mentions.read("See #W12 ")
    assert mentions.read("See #W12 and #W1.")
    assert mentions.values == {"#w1": 13}


def test_words_that_most_tools_share_tell_nothing() -> None:
    assert words_of("get_orderDetails") == {"get", "order", "detai"}
    mentions = Mentions([], ["get_order", "get_user", "get_flight"])
    assert not mentions.read("Now I get ")
    assert mentions.read("Now I get the order ")
    assert (mentions.share("get_order"), mentions.share("get_user")) == (1.0, 0.0)


def test_a_named_tool_leaves_its_own_calls_as_the_next_and_others_only_for_later() -> None:
    standing = after(Evidence(tool="get_order"))
    mine = [standing[f"get_order {order}"] for order in ("#W1001", "#W1002", "#W2003")]
    assert 0.7 < sum(p.probability for p in mine) <= 1.0
    assert mine[0].probability > mine[1].probability > mine[2].probability
    assert standing["get_user ada_1"].probability == 0.0
    assert 0.0 < standing["get_user ada_1"].probability_before_write < 0.4


def test_a_tool_that_changes_the_world_leaves_nothing_worth_holding() -> None:
    standing = after(Evidence(tool="cancel_order"))
    assert list(standing) == ["cancel_order #W1001"], "reads asked for after it will find another world"


def test_a_tool_nobody_knows_is_taken_for_a_change() -> None:
    assert after(Evidence(tool="launch_rocket")) == {}


def test_a_shell_is_no_change_before_its_command_is_written_out() -> None:
    candidates = [*ORDERS, guess("bash", 0.1, 0.2, command="ls -l")]
    assert "get_user ada_1" in after(Evidence(tool="bash"), candidates)
    assert "get_user ada_1" in after(Evidence(tool="bash", arguments={"command": "ls"}), candidates)
    assert "get_user ada_1" not in after(Evidence(tool="bash", arguments={"command": "rm x"}), candidates)


def test_a_prefix_that_one_candidate_has_makes_it_nearly_certain() -> None:
    written = Evidence(tool="get_order", partial_name="order_id", partial_value="#W2")
    standing = after(written)
    assert (
        standing["get_order #W2003"].probability
        > 5 * after(replace(written, partial_value=""))["get_order #W2003"].probability
    )
    assert standing["get_order #W1001"].probability == 0.0
    assert after(replace(written, partial_value="#W200"))["get_order #W2003"].probability > 0.8


def test_letters_that_all_candidates_share_tell_nothing() -> None:
    named, begun = (after(Evidence(tool="get_order", partial_name="order_id", partial_value=v)) for v in ("", "#W"))
    for call in ("get_order #W1001", "get_order #W2003"):
        assert begun[call].probability == pytest.approx(named[call].probability)


def test_a_completed_argument_contradicts_or_confirms() -> None:
    standing = after(Evidence(tool="get_order", arguments={"order_id": "#W1002"}))
    assert standing["get_order #W1002"].probability > 0.8
    assert standing["get_order #W1001"].probability == 0.0
    assert standing["get_order #W1001"].probability_before_write > 0.0, "it may still be the one after"


def test_a_call_that_is_written_out_is_nearly_certain_however_unlikely_it_was() -> None:
    candidates = [*ORDERS, guess("get_order", 0.0001, 0.0001, order_id="#W9")]
    assert (
        after(Evidence(tool="get_order", arguments={"order_id": "#W9"}), candidates)["get_order #W9"].probability > 0.9
    )


def test_what_is_written_and_what_was_foreseen_make_a_call_that_nobody_foresaw() -> None:
    flights = [
        guess("find_flight", 0.2, 0.4, origin="JFK", date="May 24"),
        guess("find_flight", 0.1, 0.3, origin="SEA", date="May 24"),
    ]
    standing = after(Evidence(tool="find_flight", arguments={"origin": "BOS"}), flights)
    assert standing["find_flight BOS May 24"].probability > 0.7
    assert standing["find_flight BOS May 24"].sources["origin"] == "written in this turn"
    assert standing["find_flight JFK May 24"].probability == 0.0


def test_half_a_call_never_stands_as_a_call() -> None:
    flights = [guess("find_flight", 0.2, 0.4, origin="JFK", date="May 24")]
    for evidence in (
        Evidence(tool="find_flight", partial_name="origin", partial_value="BO"),
        Evidence(tool="find_flight", arguments={"origin": "BOS"}, partial_name="date", partial_value="Jun"),
    ):
        assert all(set(p.call.arguments) == {"origin", "date"} for p in after(evidence, flights).values())
        assert "find_flight BOS Jun" not in after(evidence, flights)


def test_an_empty_turn_start_makes_no_call_of_a_named_tool() -> None:
    assert after(Evidence(tool="get_order", arguments={"order_id": "#W1"}), []) == {}


def test_a_sealed_read_is_certain_whether_foreseen_or_not() -> None:
    sealed = (ToolCall("get_order", {"order_id": "#W1002"}), ToolCall("get_order", {"order_id": "#W9"}))
    standing = after(Evidence(sealed=sealed))
    assert standing["get_order #W1002"].probability_before_write == 1.0
    assert standing["get_order #W1002"].pattern == "* => get_order"
    assert standing["get_order #W9"].probability_before_write == 1.0


def test_after_a_sealed_change_only_what_was_sealed_before_it_stands() -> None:
    change = ToolCall("cancel_order", {"order_id": "#W1001"})
    before, behind = ToolCall("get_user", {"user_id": "x"}), ToolCall("get_user", {"user_id": "y"})
    assert list(after(Evidence(tool="get_order", sealed=(before, change, behind)))) == ["get_user x"]


def test_the_second_call_of_a_turn_is_not_the_first_again() -> None:
    sealed = (ToolCall("get_order", {"order_id": "#W1001"}),)
    standing = after(Evidence(tool="get_order", sealed=sealed))
    assert standing["get_order #W1001"].probability_before_write == 1.0
    others = standing["get_order #W1002"].probability + standing["get_order #W2003"].probability
    assert others == pytest.approx(0.8)


def test_a_whole_stands_for_the_part_that_is_written() -> None:
    candidates = [guess("read_file", 0.2, 0.4, path="a.py"), guess("read_file", 0.1, 0.3, path="b.py")]
    written = Evidence(tool="read_file", arguments={"why": "I must", "path": "a.py", "offset": 100})
    assert after(written, candidates)["read_file a.py"].probability > 0.8
    sealed = Evidence(sealed=(ToolCall("read_file", {"path": "a.py", "offset": 100}),))
    assert after(sealed, candidates)["read_file a.py"].probability_before_write == 1.0


def test_evidence_that_says_nothing_new_is_told_apart() -> None:
    sharpener = Sharpener(ORDERS, TOOLS)
    assert not sharpener.hear(Evidence("Well"))
    assert not sharpener.hear(Evidence("Well, let me see "))
    assert sharpener.hear(Evidence("Well, let me see the user "))
    assert sharpener.hear(Evidence("Well, let me see the user ", tool="get_user"))
    assert not sharpener.hear(Evidence("Well, let me see the user ", tool="get_user"))


def test_a_guess_has_a_worth_and_a_stranger_has_none() -> None:
    sharpener = Sharpener(ORDERS, TOOLS)
    sharpener.hear(Evidence(tool="cancel_order"))
    assert sharpener.worth(ToolCall("get_user", {"user_id": "ada_1"})) == 0.0
    assert sharpener.worth(ToolCall("get_user", {"user_id": "bob_2"})) is None


def test_what_is_known_of_a_tools_chance_tells_how_much_of_it_was_foreseen() -> None:
    for chance, expected in ((0.3, 0.9), (0.6, 0.5)):
        sharpener = Sharpener(ORDERS, TOOLS, tool_chances={"get_order": chance})
        standing = sharpener.sharpen(Evidence(tool="get_order"), k=9)
        assert sum(p.probability for p in standing) == pytest.approx(expected)
