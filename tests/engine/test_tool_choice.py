"""The next tool is chosen by weights of signs, which are learned from what came next."""

from speculation.engine.counts import Table
from speculation.engine.tool_choice import ALWAYS, ToolChoice
from speculation.engine.types import Pattern


def taught(*lessons: tuple[list[str], str, set[str]], times: int = 40) -> ToolChoice:
    choice = ToolChoice()
    for _ in range(times):
        for signs, tool, soon in lessons:
            choice.learn(signs, tool, soon)
    return choice


def chances(choice: ToolChoice, *signs: str) -> dict[str, tuple[float, float]]:
    after, soon = choice.chances(list(signs)).tolist()
    return {tool: (after[column], soon[column]) for tool, column in choice.tools.items()}


TWO_WAYS = (["status=open"], "cancel", {"cancel"}), (["status=sent"], "send_back", {"send_back"})


def test_a_sign_tells_which_tool_comes_next() -> None:
    found = chances(taught(*TWO_WAYS), "status=open")
    assert found["cancel"][0] > 0.8 > 0.2 > found["send_back"][0]


def test_chances_of_being_next_add_up_to_one_and_those_of_coming_soon_need_not() -> None:
    choice = taught((["a"], "look", {"look", "read"}), (["a"], "read", {"read"}), times=200)
    found = chances(choice, "a")
    assert abs(sum(after for after, _ in found.values()) - 1.0) < 1e-5
    assert found["read"][1] > 0.8
    assert sum(soon for _, soon in found.values()) > 1.2


def test_a_sign_never_seen_changes_nothing() -> None:
    choice = taught(*TWO_WAYS)
    assert chances(choice, "status=open", "never seen") == chances(choice, "status=open")


def test_a_tool_never_seen_has_no_column_and_one_seen_once_is_unlikely() -> None:
    choice = taught(*TWO_WAYS)
    assert "rare" not in chances(choice, "status=open")
    choice.learn(["status=odd"], "rare", {"rare"})
    assert chances(choice, "status=open")["rare"][0] < 0.1


def test_what_is_put_into_patterns_says_the_same_when_read_back() -> None:
    choice = taught(*TWO_WAYS)
    read_back = ToolChoice()
    for tool in choice.tools:
        read_back.put(tool, choice.of_tool(tool))
    before, after = chances(choice, "status=open"), chances(read_back, "status=open")
    assert all(abs(before[tool][0] - after[tool][0]) < 1e-3 for tool in before)


def test_the_number_of_signs_is_bounded_and_those_learned_from_most_stay() -> None:
    choice = taught(*TWO_WAYS)
    for number in range(120):
        choice.learn([f"noise {number}"], "cancel", {"cancel"})
    choice.settle(max_signs=40)
    assert sum(len(choice.of_tool(tool)) for tool in choice.tools) <= 40 * len(choice.tools)
    assert chances(choice, "status=sent")["send_back"][0] > 0.5


def test_the_same_lessons_give_the_same_weights() -> None:
    one, other = taught(*TWO_WAYS), taught(*TWO_WAYS)
    assert [one.of_tool(tool) for tool in one.tools] == [other.of_tool(tool) for tool in other.tools]


def test_a_tool_without_weights_is_the_further_behind_in_read_patterns_the_more_was_studied() -> None:
    def after(studied: float) -> float:
        statistics = {"studied": studied}
        known = Pattern(
            "agent", (), "look", 9.0, 9.0, statistics=statistics | {"signs": {ALWAYS: [0.0, 0.0, 1.0, 1.0]}}
        )
        skimmed = Pattern("agent", (), "skimmed", 9.0, 1.0, statistics=statistics)
        return chances(Table("agent", [known, skimmed], 400.0).tools)["skimmed"][0]

    assert after(5000.0) < 0.5 * after(0.0)


def test_what_was_learned_is_gone_through_again_before_it_is_read_and_only_once() -> None:
    unread = taught(*TWO_WAYS, times=3)
    unread.settle()
    settled = [unread.of_tool(tool) for tool in unread.tools]
    unread.settle()
    assert [unread.of_tool(tool) for tool in unread.tools] == settled
    read = taught(*TWO_WAYS, times=3)
    assert [read.of_tool(tool) for tool in read.tools] == settled


def test_a_few_steps_on_top_of_many_are_not_learned_by_heart() -> None:
    def moved(known_steps: float) -> float:
        choice = ToolChoice()
        choice.steps = known_steps
        choice.learn(["a"], "look", {"look"})
        return choice.of_tool("look")["a"].soon

    assert moved(known_steps=10_000.0) < 0.5 * moved(known_steps=0.0)


def test_a_step_at_half_the_pace_moves_weights_half_as_far() -> None:
    full, half = ToolChoice(), ToolChoice()
    full.learn(["a"], "look", {"look"})
    half.learn(["a"], "look", {"look"}, pace=0.5)
    assert full.of_tool("look")["a"].soon > 0.05
    assert abs(half.of_tool("look")["a"].soon / full.of_tool("look")["a"].soon - 0.5) < 0.01  # curvature grows with the pace, too
