import os
import subprocess
import sys
import time

from paste_web.benchmarks import processor_time


def test_processes_are_told_apart_by_what_they_are_for() -> None:
    lines = {
        "python -m celery -A paste_web.celery worker -Q agents -n agents@%h": "agents worker",
        "python -m celery -A paste_web.celery worker -Q tools -n tools@%h": "tools workers",
        "python -m celery -A paste_web.celery worker -Q guesses -n guesses@%h": "guesses workers",
        "postgres: paste paste [local] idle": "database",
        "/somewhere/valkey-server *:0": "broker",
        "python -m tools.worlds.site": "else",
    }
    assert {line: processor_time.class_of(line) for line in lines} == lines


def test_what_a_child_computes_is_counted_also_after_its_end() -> None:
    before = processor_time.by_class()
    script = "import time\nwhile time.process_time() < 0.4: pass"
    subprocess.run([sys.executable, "-c", script], check=True)
    spent = processor_time.spent_between(before, processor_time.by_class())
    assert sum(spent.values()) >= 0.35


def test_a_running_child_is_a_class_of_its_own() -> None:
    script = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, " -Q agents "], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = processor_time.by_class()
        child.kill()
    assert found["agents worker"] >= 0.25
    assert found["benchmark"] > 0


def test_of_a_process_that_is_nobodys_parent_there_is_only_itself() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        deadline = time.monotonic() + 10
        while processor_time.by_class(child.pid) == {} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(processor_time.by_class(child.pid)) == ["benchmark"]
        assert child.pid != os.getpid()
        child.kill()


def test_what_did_not_move_is_left_out() -> None:
    assert processor_time.spent_between({"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 2.001, "c": 3.0}) == {"a": 0.5, "c": 3.0}
