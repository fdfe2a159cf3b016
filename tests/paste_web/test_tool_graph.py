"""What follows what as boxes and arrows: columns, thickness, and that nothing is drawn of nothing."""

from paste_web.tool_graph import BOX_WIDTH, COLUMN_WIDTH, Graph, tool_graph
from speculation.pattern_history import Edge

EDGES = [
    Edge("user", "get_user", 16.0),
    Edge("get_user", "get_order", 9.0),
    Edge("get_order", "get_order", 4.0),
    Edge("get_order", "get_user", 2.0),
    Edge("get_order", "answer", 1.0),
]


def drawn(edges: list[Edge]) -> Graph:
    graph = tool_graph(edges)
    assert graph is not None
    return graph


def test_nothing_is_drawn_of_nothing() -> None:
    assert tool_graph([]) is None


def test_tools_stand_in_the_order_in_which_they_follow_each_other_and_the_answer_last() -> None:
    places = {node.name: node.x for node in drawn(EDGES).nodes}
    assert sorted(places, key=lambda name: places[name]) == ["user", "get_user", "get_order", "answer"]


def test_what_leads_on_is_thicker_the_oftener_it_comes() -> None:
    widths = [float(arrow.width) for arrow in drawn(EDGES).arrows]
    assert widths == sorted(widths, reverse=True) and widths[0] == 6.0 and widths[-1] > 1.0


def test_every_box_lies_within_the_picture_and_no_two_share_a_place() -> None:
    many = [Edge("user", f"tool{number}", 30.0 - number) for number in range(20)] + [Edge("tool3", "answer", 1.0)]
    for edges in (EDGES, many, [Edge("a", "a", 1.0)]):
        graph = drawn(edges)
        assert all(
            node.x >= 0 and node.x + BOX_WIDTH <= graph.width and 0 <= node.y < graph.height - 32
            for node in graph.nodes
        )
        assert len({(node.x, node.y) for node in graph.nodes}) == len(graph.nodes)


def test_an_island_that_nothing_leads_to_is_drawn_too() -> None:
    graph = drawn([*EDGES, Edge("x", "y", 0.5)])
    assert {node.name for node in graph.nodes} >= {"x", "y"} and graph.width > COLUMN_WIDTH * 3
