"""Every live section once, in its smallest size, on real servers and workers: what it prints, and what must hold of it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser

from paste_web import embedded
from paste_web.benchmarks.live import LIVE_SECTIONS

pytestmark = pytest.mark.slow

SMALL = {
    "call": "--calls 6 --levels 1,3",
    "mcp": "--calls 4",
    "throughput": "--concurrent 2 --seconds 3 --session-calls 3",
    "harm": "--pairs 1 --sessions 2 --session-calls 3",
    "throttle": "--rounds 1 --throttles 0,100 --speed 16",
    "preemption": "--preemptions 3",
    "pages": "--loads 1 --long-calls 40 --keys 3 --watched 2 --viewers 2 --watch-seconds 3",
}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Where servers run that every command finds, so that they start once."""
    with tempfile.TemporaryDirectory(prefix="paste-bench-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        with embedded.servers(home, is_throwaway=True):
            yield home


def measure(section: str, home: Path) -> dict[str, Any]:
    """The section's document, from the command as it is typed."""
    command = [sys.executable, "manage.py", "benchmark", section, "--format", "json", *SMALL[section].split()]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PASTE_", "DATABASE_URL"))}
    done = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env={**own, "PASTE_HOME": str(home), "PASTE_REST_ABOVE_PERCENT": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)["sections"][section]
    assert LIVE_SECTIONS[section].show(document)
    return document


def test_a_call_of_an_agent_elsewhere_is_timed_beside_one_of_a_bare_server(home: Path) -> None:
    document = measure("mcp", home)
    for sides in document["kinds"].values():
        assert [sides[side]["count"] for side in ("ours", "bare", "added")] == [4, 4, 4]
        assert sides["added"]["p50"] > 0, "ours asks a database, too"


def test_a_call_is_timed_through_us_beside_the_bare_call_and_a_bare_round_trip(home: Path) -> None:
    document = measure("call", home)
    assert [level["sessions"] for level in document["levels"]] == [1, 3]
    for level in document["levels"]:
        waits = level["kinds"]["wait_50ms"]
        assert waits["through_us"]["count"] == waits["bare"]["count"] == level["celery"]["count"] == 6
        assert 50 <= waits["bare"]["p50"] < waits["through_us"]["p50"]
        assert level["kinds"]["noop"]["bare"]["p50"] < level["celery"]["p50"]
        for kind in level["kinds"].values():
            assert kind["added"]["mean"] == pytest.approx(kind["through_us"]["mean"] - kind["bare"]["mean"], abs=0.01)
    by_worker = document["database"]["noop_by_worker"]
    for side in ("session", "worker"):
        assert len(by_worker[side]["forms"]) == by_worker[side]["statements"] > 0
        assert by_worker[side]["round_trips"] == by_worker[side]["statements"] + 2 * by_worker[side]["transactions"]
    assert by_worker["worker"]["by_verb"] == {"SELECT": 1, "WITH": 2}, "looked up, started, ended"
    assert by_worker["worker"]["forms"][1].startswith("WITH tooljob")


def test_throughput_is_counted_with_and_without_speculation_and_its_processors_are_told_apart(home: Path) -> None:
    document = measure("throughput", home)
    off, on = document["rows"]
    assert (off["sessions"], off["arm"], on["arm"]) == (2, "off", "on")
    assert off["guesses"] == 0 < on["guesses_used"] <= on["guesses"]
    for row in (off, on):
        assert row["calls_a_minute"] > 0 and row["not_succeeded"] == 0
        assert {"agents worker", "benchmark"} <= set(row["processors"])
    assert "tools workers" in off["processors"] and "guesses workers" in on["processors"]


def test_wrong_guesses_run_and_serve_nothing_and_the_harm_is_told_beside_its_control(home: Path) -> None:
    document = measure("harm", home)
    off, wrong, again = (document["arms"][name] for name in ("off", "all_wrong", "off_again"))
    assert off["sessions"] == wrong["sessions"] == again["sessions"] == 2
    assert off["guesses_run"] == again["guesses_run"] == 0 < wrong["guesses_run"]
    assert wrong["head_start_seconds"] < 0.3 * wrong["guess_seconds"], "what served was asked for a moment later"
    assert document["rise"]["count"] == document["control"]["count"] == 1
    assert document["verdict"].keys() == {"upper_bound", "allowed", "control_is_narrow_enough", "holds"}
    assert document["verdict"]["holds"] is False, "one pair proves nothing"


def test_the_throttle_takes_guesses_away_and_at_its_end_all_of_them(home: Path) -> None:
    document = measure("throttle", home)
    levels = {row["throttle_percent"]: row for row in document["levels"]}
    assert list(levels) == [0, 100]
    assert levels[0]["hits"] > levels[100]["hits"] == 0
    assert all(row["savings"]["count"] == 3 for row in levels.values())


def test_a_slot_is_freed_soon_after_its_guess_is_given_up(home: Path) -> None:
    document = measure("preemption", home)
    for kind in ("cooperative", "child"):
        assert document["kinds"][kind]["count"] == 3
        assert 0 < document["kinds"][kind]["p50"] < 2000


def test_pages_are_timed_and_news_arrive_though_every_connection_was_cut(home: Path, chromium: Browser) -> None:
    document = measure("pages", home)
    assert {row["status"] for row in document["pages"]} == {200}
    assert {"overview", "session", "tool", "pattern", "savings"} <= {row["page"] for row in document["pages"]}
    assert document["long_session"]["events"] > 200 and document["long_session"]["bars"] > 0
    assert document["long_session"]["select_next_call"]["count"] == document["long_session"]["zoom_and_move"]["count"] == 3
    news = document["news"]
    assert news["events"] == 2 * 30 and news["told"]["count"] + news["told_after_a_cut"]["count"] == 60
    assert (news["disconnects"], news["lost_final_states"]) == (2, 0)
    assert document["held"]["document_bytes"] and document["held"]["final_states"]
