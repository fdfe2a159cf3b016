"""`simulate_seats` needs no server, prints a row for every mix, load and order, and refuses what is no number."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

SMALL = {"sessions": 30, "seeds": 2}


def printed(**options: object) -> str:
    out = StringIO()
    call_command("simulate_seats", stdout=out, **{**SMALL, **options})
    return out.getvalue()


def test_the_table_has_a_row_for_every_mix_load_and_order() -> None:
    lines = printed().splitlines()
    assert len(lines) == 1 + 4 * 4 * 3
    assert lines[0].split("  ")[0] == "sessions" and "change" in lines[0]


def test_the_document_shows_that_the_control_is_the_same_under_both_orders() -> None:
    document = json.loads(printed(format="json"))
    assert (document["sessions"], document["seeds"]) == (30, 2)
    control = [row for row in document["rows"] if row["mix"].startswith("control")]
    by_order = {
        order: [row | {"order": ""} for row in control if row["order"] == order] for order in ("arrival", "gain")
    }
    assert by_order["gain"] == by_order["arrival"] and len(by_order["gain"]) == 4
    assert all(row["interval_percent"] is not None for row in document["rows"])


@pytest.mark.parametrize("given", ["0", "many", "-3", "1000000"])
def test_what_is_no_number_of_sessions_is_refused_in_one_line(given: str) -> None:
    with pytest.raises(CommandError, match="--sessions takes a whole number from 1 to 10000") as refused:
        printed(sessions=given)
    assert refused.value.returncode == 2
