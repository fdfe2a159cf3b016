"""What an address says of what is looked at."""

import pytest

from paste_web.sight import Sight


def test_an_address_is_read_and_written_back():
    sight = Sight.read({"from": "2", "to": "6.5", "calls": "3", "before": "40", "call": "1.0", "tab": "turns"})
    assert (sight.view, sight.pages, sight.before, sight.call) == ((2, 6.5), {"calls": 3}, 40, "1.0")
    assert sight.address("calls", calls=4) == "?tab=calls&from=2.00&to=6.50&call=1.0&calls=4&before=40"
    assert sight.address("events", before=None) == "?tab=events&from=2.00&to=6.50&call=1.0&calls=3"


@pytest.mark.parametrize(
    "query",
    [None, [], "x", {}, {"from": "1"}, {"from": "nan", "to": "2"}, {"from": "2", "to": "1"}, {"from": [], "to": {}}, {"from": "-inf", "to": "inf"},
     {"calls": "0"}, {"calls": "-3"}, {"calls": "³"}, {"turns": "9" * 400}, {"before": ""}],
)  # fmt: skip
def test_what_makes_no_sense_is_left_out(query):
    assert Sight.read(query) == Sight()
