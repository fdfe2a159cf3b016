"""What follows what, as boxes and arrows for a template that writes plain SVG attributes. Pure. Pixels.

Columns from left to right: a tool stands one column after the one that it follows most. Arrows forward run from side to
side, back ones along lanes under the boxes, and what follows itself has a loop above.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from speculation.pattern_history import Edge

MOST_EDGES = 30
FIRST, LAST = "user", "answer"
BOX_WIDTH, BOX_HEIGHT = 184, 32
COLUMN_WIDTH, ROW_HEIGHT = 272, 64
MARGIN = 28
LAST_COLUMN = 6
THINNEST, THICKEST = 1.0, 6.0
MOST_NAME_CHARACTERS = 27
LANE_PIXELS, CORNER_PIXELS = 8, 8


@dataclass(frozen=True)
class Node:
    name: str
    label: str
    x: int
    y: int
    is_end: bool

    @property
    def middle(self) -> tuple[int, int]:
        return self.x + BOX_WIDTH // 2, self.y + BOX_HEIGHT // 2 + 4


@dataclass(frozen=True)
class Arrow:
    """`path`: of SVG; `width`: of its line."""

    path: str
    width: str
    words: str


@dataclass(frozen=True)
class Graph:
    nodes: Sequence[Node]
    arrows: Sequence[Arrow]
    width: int
    height: int
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def tool_graph(edges: Sequence[Edge]) -> Graph | None:
    """None where nothing follows anything. `edges`: the most frequent first."""
    if not edges:
        return None
    columns = _columns(edges)
    tallest = max(map(len, columns))
    nodes = {
        name: Node(name, _label(name), MARGIN + k * COLUMN_WIDTH, _y(row, len(column), tallest), name in (FIRST, LAST))
        for k, column in enumerate(columns)
        for row, name in enumerate(column)
    }
    lowest = max(node.y + BOX_HEIGHT for node in nodes.values())
    under = [edge for edge in edges if _runs_under(nodes[edge.start], nodes[edge.end], nodes.values())]
    arrows = [_arrow(edge, nodes, edges[0].support, lowest, _lane(edge, under)) for edge in edges]
    width = 2 * MARGIN + (len(columns) - 1) * COLUMN_WIDTH + BOX_WIDTH
    return Graph(list(nodes.values()), arrows, width, lowest + MARGIN + LANE_PIXELS * len(under))


def _columns(edges: Sequence[Edge]) -> list[list[str]]:
    """Names by column, in each the most frequent above."""
    depth = _depths(edges)
    weight = {name: sum(edge.support for edge in edges if name in (edge.start, edge.end)) for name in depth}
    found: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in sorted(depth, key=lambda name: (-weight[name], name)):
        found[depth[name]].append(name)
    return [column for column in found if column]


def _depths(edges: Sequence[Edge]) -> dict[str, int]:
    """Columns: along the strongest edges that lead on from what is placed, the answer behind them all."""
    names = dict.fromkeys(name for edge in edges for name in (edge.start, edge.end))
    first = FIRST if FIRST in names else edges[0].start
    depth = {first: 0}
    while len(depth) < len(names):
        onward = [edge for edge in edges if edge.start in depth and edge.end not in depth]
        if onward:
            depth[onward[0].end] = min(LAST_COLUMN, depth[onward[0].start] + 1)
        else:
            depth[next(name for name in names if name not in depth)] = 0
    if LAST in depth:
        depth[LAST] = max(depth[name] for name in depth if name != LAST) + 1
    return depth


def _label(name: str) -> str:
    return name if len(name) <= MOST_NAME_CHARACTERS else name[: MOST_NAME_CHARACTERS - 1] + "…"


def _y(row: int, rows: int, tallest: int) -> int:
    return MARGIN + 12 + int((row + (tallest - rows) / 2) * ROW_HEIGHT)


def _lane(edge: Edge, under: Sequence[Edge]) -> int | None:
    """Which of the lanes under the boxes it takes, if any."""
    return under.index(edge) if edge in under else None


def _arrow(edge: Edge, nodes: Mapping[str, Node], most: float, lowest: int, lane: int | None) -> Arrow:
    start, end = nodes[edge.start], nodes[edge.end]
    width = THINNEST + (THICKEST - THINNEST) * sqrt(edge.support / most)
    path = _path(start, end) if lane is None else _under(start, end, lowest, lane)
    return Arrow(path, f"{width:.1f}", f"{edge.start}, then {edge.end}: {edge.support:.1f}")


def _runs_under(start: Node, end: Node, nodes: Iterable[Node]) -> bool:
    """True for arrows back, and for those forward that would run behind a box on their own level."""
    is_level = abs(end.y - start.y) < BOX_HEIGHT
    hits = any(start.x < node.x < end.x and abs(node.y - start.y) < BOX_HEIGHT for node in nodes)
    return end.x < start.x or (is_level and hits)


def _path(start: Node, end: Node) -> str:
    if start.name == end.name:
        x, y = start.x + BOX_WIDTH - 44, start.y
        return f"M{x} {y} C{x} {y - 26} {x + 28} {y - 26} {x + 28} {y - 5}"
    y, to_y = start.y + BOX_HEIGHT // 2, end.y + BOX_HEIGHT // 2
    if start.x == end.x:  # beside its column
        x = start.x + BOX_WIDTH
        bulge = x + 20 + min(60, abs(to_y - y) // 5)
        return f"M{x} {y} C{bulge} {y} {bulge} {to_y} {x + 5} {to_y}"
    x, to_x = start.x + BOX_WIDTH, end.x - 5
    reach = (to_x - x) // 2
    return f"M{x} {y} C{x + reach} {y} {to_x - reach} {to_y} {to_x} {to_y}"


def _under(start: Node, end: Node, lowest: int, lane: int) -> str:
    """Down beside its box, along a lane under all of them, and up to the other: corners are round."""
    aside, r = 12 + 4 * lane, CORNER_PIXELS
    x, y, to_x, to_y = start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2, end.x, end.y + BOX_HEIGHT // 2
    down, up, level = x + aside, to_x - 8 - aside, lowest + 14 + LANE_PIXELS * lane
    way = 1 if up > down else -1
    return (
        f"M{x} {y} H{down - r} Q{down} {y} {down} {y + r} V{level - r} Q{down} {level} {down + way * r} {level} "
        f"H{up - way * r} Q{up} {level} {up} {level - r} V{to_y + r} Q{up} {to_y} {up + r} {to_y} H{to_x - 5}"
    )
