"""Figures as people read them."""

from decimal import Decimal

import pytest

from paste_web.templatetags.paste import breakable, with_code
from paste_web.wording import duration, money, percent, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0.0 s"), (0.0004, "0.0 s"), (-0.0001, "0.0 s"), (0.038, "38 ms"), (-0.038, "−38 ms"), (5.24, "5.2 s"), (-5.2, "−5.2 s"),
     (119.9, "119.9 s"), (242, "4 min 02 s"), (588, "9 min 48 s"), (7260, "2 h 01 min")],
)  # fmt: skip
def test_durations_have_a_unit_and_a_true_minus(value, text):
    assert duration(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.224, "22 %"), (-0.03, "−3 %"), (0, "0 %"), (-0.001, "0 %")])
def test_percent_is_whole(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (1.4, "1.40 s"), (14.62, "14.6 s"), (-0.001, "0.00 s"), (-1.5, "−1.50 s")])
def test_a_tables_seconds_align(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0 USD"), ("0.0025", "0.0025 USD"), ("0.005000", "0.005 USD"), ("0.1", "0.10 USD"), ("12", "12.00 USD"), ("1234.5", "1,234.50 USD"),
     ("1E+3", "1,000.00 USD"), ("0.000001", "0.000001 USD")],
)  # fmt: skip
def test_money_is_exact_and_has_two_decimals_at_least(value, text):
    assert money(Decimal(value)) == text


def test_a_name_may_break_after_its_underscores_and_is_still_escaped():
    assert breakable("search_documents") == "search_<wbr>documents"
    assert breakable("<b>_x") == "&lt;b&gt;_<wbr>x"
    assert breakable("lookup") == "lookup"


def test_what_stands_between_backticks_is_code_and_all_of_it_is_escaped():
    assert with_code("Send `Bearer <key>`, or <none>.") == "Send <code>Bearer &lt;key&gt;</code>, or &lt;none&gt;."
    assert with_code("Wait.") == "Wait."
