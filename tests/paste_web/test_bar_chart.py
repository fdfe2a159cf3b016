"""Bars over time, and the waterfall: boxes that tell the truth."""

import pytest

from paste_web.bar_chart import Series, bar_chart
from paste_web.time_bars import agents_time
from paste_web.waterfall import waterfall
from speculation.totals import Minutes, Totals


def test_stacked_and_hanging_bars_share_one_scale() -> None:
    chart = bar_chart(
        [Series("a", "used", [3, 0]), Series("b", "wasted", [1, 0]), Series("c", "negative", [0, 2], hangs=True)], 120
    )
    heights = {box.kind: float(box.height) for box in chart.boxes}
    assert heights == {"used": 60.0, "wasted": 20.0, "negative": 40.0}
    assert (chart.line_y, chart.most, chart.least) == ("80.0", 4, 2)
    tops = {box.kind: float(box.y) for box in chart.boxes}
    assert tops == {"used": 20.0, "wasted": 0.0, "negative": 80.0}


def test_a_little_is_seen_and_nothing_is_not_drawn() -> None:
    chart = bar_chart([Series("a", "used", [1000.0, 0.01, 0.0])], 100)
    assert [box.height for box in chart.boxes] == ["100.0", "1.0"]
    assert bar_chart([Series("a", "used", [0.0])]).is_empty


def test_the_table_twin_has_the_charts_values() -> None:
    bins = [Minutes(60.0 * k, 1.0, saved=k, interference=k / 10) for k in range(4)]
    chart = agents_time(bins)
    assert [list(row.values) for row in chart.rows] == [[3, 0.3], [2, 0.2], [1, 0.1]]
    assert chart.sentence == "Agents' time a minute: in all saved 6.0 s, interference 0.6 s."


@pytest.mark.parametrize(("net", "interference"), [(5.2, 0.3), (-2.0, 0.5), (0.0, 0.0), (5.0, 0.0)])
def test_the_waterfall_adds_up_exactly(net: float, interference: float) -> None:
    without, saved, lost, actual = waterfall(
        Totals(task_seconds=18.4, net_saved_seconds=net, interference_seconds=interference)
    )
    assert without.seconds - saved.seconds + lost.seconds == pytest.approx(actual.seconds, abs=1e-9)
    for step in (without, saved, lost, actual):
        x, width = float(step.x[:-1]), float(step.width[:-1])
        assert x >= 0 and width >= 0 and x + width <= 100.001
    assert float(actual.width[:-1]) / float(without.width[:-1]) == pytest.approx(
        actual.seconds / without.seconds, rel=1e-3
    )
