"""`evaluate` reads files, needs no server, prints the document it promises, and refuses what it cannot do with one line."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from playwright.sync_api import Browser

from speculation.evaluation_sets import read_sets
from tests.browser import Witness

ARMS = {"serial", "paste", "oracle_turn", "oracle_all", "ngram", "random", "all_wrong", "a_a"}
ARM_KEYS = {
    "serial_tool_seconds",
    "exposed_tool_seconds",
    "task_seconds",
    "hits",
    "launches",
    "launches_per_hit",
    "wasted_seconds",
    "covered",
}
SOURCE_KEYS = {
    "sessions",
    "turns",
    "name@1",
    "hit@1",
    "hit@3",
    "hit@5",
    "calibration_error",
    "read_only",
    "replay",
    "reasons",
}
TRACES = Path(settings.BASE_DIR).parent / "shared" / "traces"


def session(number: int, source: str = "shop", task: str = "") -> dict[str, Any]:
    """A customer asks for two orders: looked up one after the other, then one of them is changed."""
    user_id, orders = f"user_{number}", [f"#W{number}1", f"#W{number}2"]
    events: list[dict[str, Any]] = [{"type": "user", "text": f"I am {user_id}."}]
    asked = [("get_user", {"user_id": user_id}, {"orders": orders})]
    asked += [("get_order", {"order_id": order}, {"order_id": order, "state": "sent"}) for order in orders]
    asked += [("cancel", {"order_id": orders[0]}, {"state": "cancelled"})]
    for turn, (name, arguments, result) in enumerate(asked, start=1):
        events.append({"type": "llm", "turn": turn, "text": "", "duration_s": 2.0})
        call = {"type": "tool", "turn": turn, "name": name, "arguments": arguments, "result": json.dumps(result)}
        events.append({**call, "ok": True, "duration_s": 0.5})
    events.append({"type": "llm", "turn": len(asked) + 1, "text": "Done."})
    names = {"session_id": f"{source}/{number}", "source": source, "family": "shop", "model": "m", "meta": {}}
    return {**names, "task_id": task or f"task {number}", "task": "Help.", "events": events}


def write(path: Path, sessions: Sequence[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(each) + "\n" for each in sessions)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    effects = {"shop": {"read": ["get_user", "get_order"]}}
    (tmp_path / "effects.json").write_text(json.dumps(effects))
    write(tmp_path / "train.jsonl.gz", [session(n) for n in range(12)])
    write(tmp_path / "test.jsonl", [session(n) for n in range(50, 54)])
    return tmp_path


def evaluate(folder: Path, *arguments: str, train: str = "train.jsonl.gz", test: str = "test.jsonl") -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    files = ["--train", str(folder / train), "--test", str(folder / test)]
    call_command("evaluate", *files, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def document(folder: Path, *arguments: str, **files: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(evaluate(folder, "--format", "json", *arguments, **files)[0])
    return found


def test_the_document_has_the_keys_it_promises(folder: Path) -> None:
    found = document(folder)
    shop = found["sources"]["shop"]
    assert set(shop) >= SOURCE_KEYS
    assert set(shop["read_only"]) >= {"turns", "hit@1", "hit@3"}
    assert set(shop["replay"]) == ARMS
    assert all(set(row) >= ARM_KEYS for row in shop["replay"].values())
    assert set(found["predict_seconds"]) >= {"p50", "p99"}
    assert set(found["mining"]) == {"events", "seconds"}
    assert found["seed"] == 1


def test_figures_are_those_of_the_files(folder: Path) -> None:
    shop = document(folder)["sources"]["shop"]
    assert (shop["sessions"], shop["turns"], shop["model_turns"], shop["read_only"]["turns"]) == (4, 16, 20, 12)
    assert shop["hit@3"] == 1.0
    assert sum(row["turns"] for row in shop["per_tool"].values()) == 16
    assert sum(each["count"] for each in shop["reliability"]) == 20


def test_the_arms_stand_as_they_must(folder: Path) -> None:
    arms = document(folder)["sources"]["shop"]["replay"]
    serial = arms["serial"]["exposed_tool_seconds"]
    assert serial == arms["serial"]["serial_tool_seconds"] > 0
    assert arms["paste"] == arms["a_a"]
    assert arms["oracle_all"]["exposed_tool_seconds"] <= arms["oracle_turn"]["exposed_tool_seconds"] < serial
    assert arms["paste"]["exposed_tool_seconds"] < arms["random"]["exposed_tool_seconds"]
    assert arms["all_wrong"]["launches"] == arms["paste"]["launches"] > 0
    assert arms["all_wrong"]["task_seconds"] == pytest.approx(arms["serial"]["task_seconds"], rel=0.01)
    assert arms["all_wrong"]["hits"] == 0


def test_the_same_seed_gives_the_same_figures_and_another_one_other_times(folder: Path) -> None:
    def timeless(*arguments: str) -> dict[str, Any]:
        found = document(folder, *arguments)
        return {"sources": found["sources"], "events": found["mining"]["events"]}

    assert timeless() == timeless()
    other = timeless("--seed", "2")["sources"]["shop"]["replay"]["serial"]
    assert other["serial_tool_seconds"] != timeless()["sources"]["shop"]["replay"]["serial"]["serial_tool_seconds"]


def test_recorded_times_are_used_where_asked_for(folder: Path) -> None:
    shop = document(folder, "--tool-times", "recorded")["sources"]["shop"]
    assert shop["replay"]["serial"]["serial_tool_seconds"] == 4 * 3 * 0.5
    assert shop["replay"]["serial"]["task_seconds"] == 4 * (4 * 2.0 + 3.0 + 4 * 0.5)


def test_every_model_turn_is_dumped_for_others_to_score(folder: Path) -> None:
    found = document(folder, "--dump", str(folder / "dump.jsonl"))["sources"]["shop"]
    lines = [json.loads(line) for line in (folder / "dump.jsonl").read_text().splitlines()]
    assert len(lines) == found["model_turns"]
    assert all(list(line) == ["source", "session_id", "turn", "calls", "predictions"] for line in lines)
    assert all(set(p) == {"tool", "arguments", "p"} for line in lines for p in line["predictions"])
    assert [line["turn"] for line in lines[:5]] == [1, 2, 3, 4, 5]
    assert lines[4]["calls"] == []
    acting = [line for line in lines if line["calls"]]
    right = [line for line in acting if line["predictions"] and same(line["predictions"][0], line["calls"][0])]
    assert len(right) / len(acting) == found["hit@1"]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool((one["tool"], one["arguments"]) == (other["tool"], other["arguments"]))


def test_a_task_that_was_trained_on_is_left_out_counted_and_said(folder: Path) -> None:
    write(folder / "test.jsonl", [session(60), session(61, task="task 3"), session(62, task="task 4")])
    found = document(folder)["sources"]["shop"]
    assert (found["sessions"], found["left_out_sessions"]) == (1, 2)
    assert "2 left out since their task was trained on" in evaluate(folder)[0]


def test_sessions_given_for_both_are_split_by_task_in_halves(folder: Path) -> None:
    train = folder / "train.jsonl.gz"
    (sets,) = read_sets([train], [train], seed=1, sources=None, on_bad=print)
    assert (len(sets.train), len(sets.test), sets.left_out, sets.is_split) == (6, 6, 0, True)
    assert not {run.task_id for run in sets.train} & {run.task_id for run in sets.test}
    (again,) = read_sets([train, train], [train], seed=1, sources=None, on_bad=print)
    assert again == sets
    (other,) = read_sets([train], [train], seed=2, sources=None, on_bad=print)
    assert {run.task_id for run in other.test} != {run.task_id for run in sets.test}
    text, said = evaluate(folder, test="train.jsonl.gz")
    assert "half of the tasks each" in text
    assert "split by task" in said


def test_a_file_that_shares_some_sessions_trains_on_none_of_the_tested_tasks(folder: Path) -> None:
    write(folder / "test.jsonl", [session(n) for n in range(8, 16)])
    (sets,) = read_sets([folder / "train.jsonl.gz"], [folder / "test.jsonl"], seed=1, sources=None, on_bad=print)
    assert not {run.task_id for run in sets.train} & {run.task_id for run in sets.test}
    assert len(sets.test) == 6
    assert sets.left_out == 0


def test_a_source_without_training_is_reported_with_nothing_predicted(folder: Path) -> None:
    write(folder / "test.jsonl", [session(n, source="new") for n in range(3)])
    new = document(folder)["sources"]["new"]
    assert (new["turns"], new["hit@5"], new["trained_sessions"]) == (12, 0.0, 0)
    assert new["replay"]["serial"]["reads"] == 0


def test_only_the_named_sources_are_measured(folder: Path) -> None:
    write(folder / "test.jsonl", [session(60), session(61, source="new")])
    assert set(document(folder)["sources"]) == {"new", "shop"}
    assert set(document(folder, "--sources", "shop")["sources"]) == {"shop"}


def test_bad_lines_are_reported_and_skipped(folder: Path) -> None:
    with (folder / "test.jsonl").open("a") as file:
        file.write("no session\n")
    text, said = evaluate(folder)
    assert "test.jsonl:5:" in said
    assert "tested on 4" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"test": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"train": "effects-gone/train.jsonl.gz"}, "effects-gone"),
        ({"test": "train.jsonl.gz", "train": "again.jsonl"}, "Nothing is left to test: 12"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_two(folder: Path, arguments: dict[str, str], says: str) -> None:
    write(folder / "again.jsonl", [{**session(n), "session_id": f"again {n}"} for n in range(12)])
    with pytest.raises(CommandError, match=says) as refused:
        evaluate(folder, **arguments)
    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)


def test_missing_effects_are_asked_for(folder: Path) -> None:
    (folder / "effects.json").rename(folder / "other.json")
    with pytest.raises(CommandError, match="--effects FILE") as refused:
        evaluate(folder)
    assert refused.value.returncode == 2
    assert document(folder, "--effects", str(folder / "other.json"))["sources"]["shop"]["read_only"]["turns"] == 12
    (folder / "effects.json").write_text("[]")
    with pytest.raises(CommandError, match="no object of sources"):
        evaluate(folder)


def test_a_file_that_is_missing_is_named_before_the_effects_that_would_stand_beside_it(folder: Path) -> None:
    (folder / "effects.json").unlink()
    with pytest.raises(CommandError, match=r"nowhere\.jsonl") as refused:
        evaluate(folder, "--train", str(folder / "nowhere.jsonl"))
    assert refused.value.returncode == 2


def test_a_dump_that_cannot_be_written_is_one_line(folder: Path) -> None:
    with pytest.raises(CommandError, match="nowhere") as refused:
        evaluate(folder, "--dump", str(folder / "nowhere" / "dump.jsonl"))
    assert refused.value.returncode == 2


def test_the_table_says_how_many_rates_are_of(folder: Path) -> None:
    text, _ = evaluate(folder)
    lines = [line.split() for line in text.splitlines()]
    assert ["shop", "4", "16"] in [line[:3] for line in lines]
    assert ["get_order", "8"] in [line[:2] for line in lines]
    assert any(line[:1] == ["oracle_all"] for line in lines)


def test_ablations_take_a_part_away_and_say_what_is_left(folder: Path) -> None:
    shop = document(folder, "--ablations")["sources"]["shop"]
    assert {"no decay", "no latest results", "no user's words"} <= set(shop["ablations"])
    assert shop["ablations"]["no user's words"]["hit@1"] == shop["hit@1"] - 0.25
    assert "no user's words" in evaluate(folder, "--ablations")[0]


def test_evidence_of_the_stream_is_measured_beside_the_turns_start(folder: Path) -> None:
    evidence = document(folder, "--evidence")["sources"]["shop"]["evidence"]
    assert evidence["start"]["removed"] == 0.0
    assert all(row["exposed_tool_seconds"] <= row["serial_tool_seconds"] for row in evidence.values())


def test_the_report_is_one_page_with_a_table_beside_every_chart(folder: Path) -> None:
    evaluate(folder, "--report", str(folder / "report.html"))
    page = (folder / "report.html").read_text()
    charts = page.count('class="chart"')
    assert charts == page.count("data-figure=") == page.count("<details>") == 3
    own = page.split("<body>")[1].split("<script>")[0]
    assert "src=" not in own and "href=" not in own
    assert "export function" not in page


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_draws_its_charts_asks_nobody_and_fits(folder: Path, chromium: Browser, width: int) -> None:
    evaluate(folder, "--report", str(folder / "report.html"))
    witness = Witness(host="")
    page = chromium.new_page(viewport={"width": width, "height": 900})
    witness.watch(page)
    page.goto((folder / "report.html").as_uri())
    assert page.locator(".chart .main-svg").count() >= 3
    assert page.locator(".chart path.point").count() > 10
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (witness.complaints, witness.strangers) == ([], [])
    page.close()


def test_text_from_files_is_no_markup_in_the_report(folder: Path) -> None:
    write(folder / "test.jsonl", [session(70, source="<b>shop</b></script>")])
    evaluate(folder, "--report", str(folder / "report.html"))
    assert "<b>shop" not in (folder / "report.html").read_text()


@pytest.mark.slow
def test_no_server_is_needed_or_started(folder: Path) -> None:
    home = folder / "home"
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "PASTE_BROKER_URL": "redis://127.0.0.1:1/0"}
    files = ["--train", str(folder / "train.jsonl.gz"), "--test", str(folder / "test.jsonl")]
    for addresses in (nowhere, {}):
        kept = {name: value for name, value in os.environ.items() if name not in nowhere}
        done = subprocess.run(
            [sys.executable, "manage.py", "evaluate", *files, "--format", "json"],
            cwd=settings.BASE_DIR,
            env={**kept, **addresses, "PASTE_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert set(json.loads(done.stdout)["sources"]) == {"shop"}
        assert not (home / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(not TRACES.exists(), reason="no recorded sessions beside this checkout")
def test_recorded_sessions_of_real_agents_are_measured() -> None:
    file = TRACES / "tau_bench.jsonl.gz"
    out = StringIO()
    call_command("evaluate", "--train", file, "--test", file, "--format", "json", stdout=out, stderr=StringIO())
    found = json.loads(out.getvalue())["sources"]["tau_bench"]
    arms = found["replay"]
    assert found["hit@3"] > found["hit@1"] > 0.3
    assert arms["oracle_turn"]["exposed_tool_seconds"] < 0.02 * arms["serial"]["exposed_tool_seconds"]
    assert arms["paste"] == arms["a_a"]
    for baseline in ("ngram", "random", "all_wrong"):
        assert arms["paste"]["exposed_tool_seconds"] < 0.8 * arms[baseline]["exposed_tool_seconds"]
