"""The command `chaos`: fifty sessions through a storm, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from paste_web.chaos import report
from paste_web.chaos.faults import Fault
from paste_web.chaos.play import Played
from paste_web.chaos.promises import Broken
from paste_web.chaos.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
PROMISED = ("lost_sessions", "double_answers", "early_side_effects", "stale_results", "stuck_jobs")


@pytest.mark.parametrize("sessions", [0, -1, 5_001])
def test_a_number_of_sessions_that_cannot_be_is_refused_before_anything_starts(sessions: int) -> None:
    with pytest.raises(CommandError, match="--sessions takes 1 to 5000") as refused:
        call_command("chaos", sessions=sessions)
    assert refused.value.returncode == 2


def test_words_for_numbers_are_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "chaos", "--seed", "x"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].endswith("argument --seed: invalid int value: 'x'")


def played(*broken: Broken) -> Played:
    verdict = Verdict(sessions=3, broken=list(broken), equal_states=2, told_of_a_fault=1)
    verdict.endings.update({"result": 9, "unknown outcome": 1})
    return Played(verdict, {Fault.KILL_WORKER: 2, Fault.DELIVER_AGAIN: 40}, killed=2, seconds=12.34, storm_seconds=8.0)


def test_the_document_counts_each_promise_and_says_which_states_were_compared_with_what() -> None:
    document = report.document(played(), seed=7)
    assert {name: document[name] for name in PROMISED} == dict.fromkeys(PROMISED, 0)
    assert (document["sessions"], document["killed"], document["final_state_equal"], document["broken"]) == (
        3,
        2,
        True,
        0,
    )
    assert document["final_states"] == {
        "as_serial": 2,
        "as_a_step_of_serial_after_a_fault_that_was_told": 1,
        "unequal": 0,
    }
    assert document["calls"] == {"result": 9, "error": 0, "unknown_outcome": 1}


def test_what_was_broken_is_named_in_the_document_and_in_the_table() -> None:
    document = report.document(
        played(Broken("stale_results", "ab", "1.0"), Broken("unequal_states", "ab", "file x")), seed=7
    )
    assert (document["stale_results"], document["final_state_equal"], document["broken"]) == (1, False, 2)
    table = report.as_text(document)
    assert (
        "    1  stale results" in table
        and "stale_results: ab: 1.0" in table
        and "   40  messages delivered again" in table
    )


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_fifty_sessions_come_through_while_everything_under_them_is_killed() -> None:
    command = [sys.executable, "manage.py", "chaos", "--sessions", "50", "--seed", "1", "--format", "json"]
    environment = {**os.environ, "PASTE_IN_PLACE_SECONDS": "0.02"}  # as the product has it
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=680
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    document = json.loads(done.stdout)
    assert {name: document[name] for name in PROMISED} == dict.fromkeys(PROMISED, 0)
    assert document["final_state_equal"] and document["broken"] == 0
    kinds = [fault for fault, count in document["faults"].items() if count]
    assert len(kinds) >= 6 and document["killed"] >= 8, f"it was a storm: {document['faults']}"
    assert document["promoted_calls"] >= 20, "and there was speculation in it"
