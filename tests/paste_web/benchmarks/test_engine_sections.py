"""`benchmark` needs no server, prints the document it promises with its controls, and refuses with one line."""

import json
import os
import subprocess
import sys
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from paste_web.benchmarks import names
from speculation.benchmark_latency import Stopwatch, Took, best_supported, figures, quantile, walk
from speculation.benchmark_mining import Mining, Point, extrapolate, growth_exponent, mine_network, sizes_up_to
from speculation.benchmarking import SECTIONS, as_text
from speculation.engine.prediction import Predictor
from speculation.engine.synthetic import TOOLS, sessions
from speculation.engine.synthetic_network import Network
from speculation.engine.types import Pattern

SMALL = {"events": "200", "patterns": "20,200", "predictions": "20", "repeats": "1"}
POINT_KEYS = {
    "events",
    "sessions",
    "seconds",
    "walked_seconds",
    "wall_seconds",
    "rows",
    "resident_bytes",
    "events_per_second",
    "segment_seconds_per_event",
    "times_the_walk",
    "processor_share",
}
LATENCY_KEYS = {"p50", "p99", "processor_p99", "max", "count"}


def run(*sections: str, **options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("benchmark", *sections, **{**SMALL, "format": "json", **options}, stdout=out, stderr=StringIO())
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def recorded(path: Path, count: int = 3) -> Path:
    events = [
        {"type": "llm", "turn": 1, "text": ""},
        {"type": "tool", "turn": 1, "name": "look", "arguments": {"id": "a1"}, "result": '{"id": "b2"}', "ok": True},
        {"type": "llm", "turn": 2, "text": "Done."},
    ]
    names = {"source": "shop", "family": "", "model": "", "task_id": "t", "task": "Help with a1.", "meta": {}}
    lines = [json.dumps({**names, "session_id": str(number), "events": events}) for number in range(count)]
    path.write_text("\n".join([*lines, "no JSON"]))
    return path


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(*names.ENGINE, recorded=[recorded(tmp_path_factory.mktemp("recorded") / "shop.jsonl")])


def test_the_document_has_the_keys_it_promises(document: dict[str, Any]) -> None:
    assert document.keys() == {"method", "sections"}
    assert list(document["sections"]) == ["mining", "predict", "observe"] == list(SECTIONS)
    mining, predict, observe = document["sections"].values()
    assert mining.keys() == {"points", "growth_exponent", "extrapolated", "bounds", "recorded"}
    assert all(point.keys() == POINT_KEYS for point in mining["points"])
    assert mining["extrapolated"].keys() == {"events", "seconds", "seconds_per_event", "from_events"}
    assert predict.keys() == {"k", "tools", "rows", "growth_exponents"}
    for row in predict["rows"]:
        assert row.keys() == {"patterns", "mined_events", "build_seconds", "build_bytes", "all_tools", "only_reads"}
        assert row["all_tools"].keys() == row["only_reads"].keys() == LATENCY_KEYS
    assert all(row.keys() == {"patterns"} | LATENCY_KEYS for row in observe["rows"])


def test_the_method_says_what_must_be_known_to_read_the_figures(document: dict[str, Any]) -> None:
    method = document["method"]
    assert (method["seed"], method["repeats"], method["cores_used"]) == (1, 1, 1)
    assert "process_time" in method["mining_clock"] and "perf_counter" in method["latency_clock"]
    assert method["garbage_collection"].startswith("on")
    assert "50 predictions" in method["warm_up"]


def test_mining_is_measured_at_growing_sizes_beside_the_bare_walk(document: dict[str, Any]) -> None:
    points = document["sections"]["mining"]["points"]
    assert [point["events"] >= size for point, size in zip(points, sizes_up_to(200), strict=False)] == [True] * len(
        points
    )
    assert points[-1]["events"] >= 200
    assert all(0 < point["walked_seconds"] < point["seconds"] for point in points)
    assert [point["seconds"] for point in points] == sorted(point["seconds"] for point in points)


def test_a_bound_on_the_rows_holds_and_a_wider_one_lets_more_in(document: dict[str, Any]) -> None:
    bounds = document["sections"]["mining"]["bounds"]
    assert [bound["max_rows"] for bound in bounds] == [2_000, 20_000]
    narrow, wide = (mine_network(1, [200, 400], max_rows) for max_rows in (500, 20_000))
    assert max(point.rows for point in narrow) <= 500 < wide[-1].rows


def test_the_control_has_no_patterns_and_costs_less(document: dict[str, Any]) -> None:
    control, *_, largest = document["sections"]["predict"]["rows"]
    assert (control["patterns"], largest["patterns"]) == (0, 200)
    assert control["all_tools"]["p50"] < largest["all_tools"]["p50"]
    assert control["build_bytes"] < largest["build_bytes"]
    assert control["all_tools"]["count"] >= 20


def test_only_the_named_sections_are_measured() -> None:
    assert list(run("observe", patterns="20")["sections"]) == ["observe"]


def test_recorded_sessions_are_mined_once_through_as_they_are(document: dict[str, Any]) -> None:
    found = document["sections"]["mining"]["recorded"]
    assert found.keys() == {"shop.jsonl: shop"}
    assert found["shop.jsonl: shop"].keys() == POINT_KEYS
    assert (found["shop.jsonl: shop"]["sessions"], found["shop.jsonl: shop"]["events"]) == (3, 12)


def test_the_table_shows_method_denominators_and_controls(document: dict[str, Any]) -> None:
    text = as_text(document)
    for part in (
        "garbage collection: on",
        "times the walk",
        "0 (control)",
        "10,000,000 events",
        "at most 2,000 rows",
        "of",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"events": "0"}, "--events takes whole numbers from 1, not '0'"),
        ({"events": "many"}, "--events takes whole numbers from 1, not 'many'"),
        ({"patterns": "10,"}, "--patterns takes"),
        ({"repeats": "-1"}, "--repeats takes"),
        ({"seed": "x"}, "--seed takes whole numbers from 0"),
        ({"calls": "0"}, "--calls takes whole numbers from 1"),
        ({"levels": "1,x"}, "--levels takes whole numbers from 1, not 'x'"),
        ({"concurrent": ""}, "--concurrent takes whole numbers from 1"),
        ({"pairs": "-3"}, "--pairs takes whole numbers from 1"),
        ({"throttles": "0,101"}, "--throttles takes whole numbers from 0 to 100, not '101'"),
        ({"preemptions": "1.5"}, "--preemptions takes whole numbers from 1"),
        ({"format": "xml"}, "--format: there is no 'xml'"),
        ({"recorded": [Path("nowhere.jsonl")]}, "nowhere.jsonl: No such file"),
    ],
)
def test_wrong_options_are_one_line_and_code_two(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandError, match=says) as refused:
        run(*names.ENGINE, **options)
    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)


def test_an_unknown_section_is_one_line_and_code_two() -> None:
    with pytest.raises(CommandError, match="there is no 'dancing', only mining, predict, observe, call,") as refused:
        run("mining", "dancing")
    assert refused.value.returncode == 2


def test_a_file_without_a_session_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path / "empty.jsonl", count=0)
    with pytest.raises(CommandError, match="has no recorded session") as refused:
        run("mining", recorded=[path])
    assert refused.value.returncode == 2


@pytest.mark.slow
def test_no_server_is_needed_or_started(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "benchmark", "observe", "--format", "json"]
    options = ["--patterns", "20", "--predictions", "5", "--repeats", "1"]
    environment = {**os.environ, "PASTE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [*command, *options], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sections"].keys() == {"observe"}
    assert not (tmp_path / "home" / "run").exists()


def test_sizes_grow_up_to_the_largest_asked_for() -> None:
    assert sizes_up_to(100_000) == [1_000, 3_000, 10_000, 30_000, 100_000]
    assert sizes_up_to(300_000)[-2:] == [100_000, 300_000]
    assert sizes_up_to(1) == [1]


def test_the_growth_exponent_is_the_power_that_made_the_points() -> None:
    assert growth_exponent([(n, 5 * n**1.5) for n in (1, 10, 100)]) == pytest.approx(1.5)
    assert growth_exponent([(n, 7.0) for n in (1, 10, 100)]) == pytest.approx(0.0)
    assert growth_exponent([(0, 1.0), (10, 1.0)]) is None


def test_what_lies_ahead_costs_what_the_last_segment_did() -> None:
    points = [Point(100, 1, 1.0, 0.1, 1.1, 5, None), Point(200, 2, 4.0, 0.2, 4.2, 5, None)]
    ahead = extrapolate(points, 1_000)
    assert (ahead["seconds"], ahead["from_events"]) == (pytest.approx(4.0 + 800 * 0.03), [100, 200])
    assert extrapolate(points[:1], 1_000)["seconds"] == pytest.approx(10.0)


def test_only_the_miner_is_on_the_minings_clock() -> None:
    mining = Mining(TOOLS)
    (point,) = mining.points(iter([next(sessions(1))]), [10**6])
    assert point.sessions == 1
    assert point.seconds + point.walked_seconds <= point.wall_seconds * 1.5 + 0.02


def test_latencies_are_those_of_the_clocks_without_the_warm_up() -> None:
    network = Network(1)
    wall, processor = (count(0.0, step) for step in (2.0, 0.5))
    watch = Stopwatch(lambda: next(wall), lambda: next(processor))
    measured = walk(Predictor([], network.tools), network.sessions(1), False, 30, watch)
    assert 30 <= len(measured.predicted) < 60
    assert set(measured.predicted) == set(measured.observed) == {Took(2.0, 0.5)}


def test_runs_are_summed_up_by_their_medians() -> None:
    found = figures([[Took(n, n / 4)] * 2 for n in (1.0, 2.0, 9.0)])
    assert found == {"p50": 2.0, "p99": 2.0, "processor_p99": 0.5, "max": 9.0, "count": 6}
    assert quantile([float(n) for n in range(100)], 0.99) == 99.0


def test_the_best_supported_patterns_are_kept_in_their_order() -> None:
    rows = [
        Pattern("a", context, tool, 10, support)
        for context, tool, support in [((), "x", 5), (("u",), "y", 1), ((), "z", 1)]
    ]
    assert best_supported(rows, 2) == [rows[0], rows[2]]
