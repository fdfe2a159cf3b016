"""What is due each day: asked for by one small process, taken by an agents worker."""

import time
from pathlib import Path

import pytest
from django.conf import settings

from paste_web import celery_app
from paste_web.processes import Processes, beat
from speculation import tasks


def test_what_the_beat_asks_for_is_a_task_of_the_agents_workers() -> None:
    asked = [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]
    assert asked == [tasks.retain.name] and tasks.retain.name in celery_app.tasks
    routed = celery_app.amqp.router.route({}, tasks.retain.name)
    assert routed["queue"].name == "agents"


def test_the_beat_lives_and_keeps_when_it_last_asked(
    broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASTE_BROKER_URL", broker_url)
    monkeypatch.setenv("PASTE_HOME", str(tmp_path))
    with Processes(settings.BASE_DIR, tmp_path) as processes:
        processes.start(beat())
        deadline = time.monotonic() + 60
        while not any(b"__version__" in path.read_bytes() for path in tmp_path.glob("beat-schedule*")):  # the last it writes
            processes.check()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        processes.check()
    assert (tmp_path / "beat.log").read_text() == "", "it has nothing to report"
