"""Real Celery workers as child processes of a test, on the run's own database and broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

PROJECT = Path(__file__).resolve().parent.parent
READY = "ready."
PATIENCE_AT_THE_END_SECONDS = 3.0


class Worker:
    """One worker process with its children. `kill` is SIGKILL to all of them, as if the machine had lost power."""

    def __init__(self, queues: str, number: int, *options: str, **variables: str) -> None:
        name = f"{queues.partition(',')[0]}{number}"
        self.log = Path(settings.PASTE_HOME) / f"worker-{name}.log"
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "paste_web",
            "worker",
            "-Q",
            queues,
            "-n",
            f"{name}@test",
        ]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *quiet, *options],
                cwd=PROJECT,
                env={**os.environ, **_addresses(), **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while READY not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the worker did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to end, which it does once its jobs have ended."""
        if self.process.poll() is None:
            self.process.terminate()

    def stop(self, patience_seconds: float = 15.0) -> None:
        self.terminate()
        try:
            self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()


def _addresses() -> dict[str, str]:
    return {
        "DATABASE_URL": settings.DATABASE_URL,
        "PASTE_LISTEN_URL": settings.PASTE_LISTEN_URL,
        "PASTE_BROKER_URL": settings.PASTE_BROKER_URL,
        "PASTE_HOME": str(settings.PASTE_HOME),
    }


class Workers:
    """Starts workers and stops whatever is left of them."""

    def __init__(self) -> None:
        self._all: list[Worker] = []

    def tools(self, processes: int = 2, **variables: str) -> Worker:
        """One that runs calls and guesses alike, as where one is enough."""
        return self._start("tools,guesses", "-P", "prefork", "-c", str(processes), "--prefetch-multiplier", "1", **variables)

    def agents(self, **variables: str) -> Worker:
        return self._start("agents", "-P", "threads", "-c", "16", "-I", "speculation.tasks", **variables)

    def _start(self, queues: str, *options: str, **variables: str) -> Worker:
        worker = Worker(queues, len(self._all), *options, **variables)
        self._all.append(worker)
        return worker

    def stop(self) -> None:
        """All at once; a worker whose job would go on for ever is killed soon."""
        for worker in self._all:
            worker.terminate()
        for worker in self._all:
            worker.stop(PATIENCE_AT_THE_END_SECONDS)


@pytest.fixture
def workers(transactional_db: None, broker_url: str) -> Iterator[Workers]:
    """Starts real workers on demand; each test's own are gone at its end."""
    workers = Workers()
    yield workers
    workers.stop()
