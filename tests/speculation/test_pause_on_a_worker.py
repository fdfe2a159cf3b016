"""A press on Pause while a real worker runs a guess: it is stopped, and the page says after how long."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from speculation.models import AgentProfile, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.toolbox import Toolbox
from tests.speculation.test_preemption import LONG_SECONDS, run_guess, spec
from tests.workers import Workers
from tools import catalog

PRESS = {"what": "all", "why": "one press, no reason given", "next": "/connect/"}
TOLD = re.compile(r"Paused\. 1 held run given up, the last ended after (?:(\d+) ms|0\.(\d) s)\.")


@pytest.mark.slow
def test_a_press_stops_a_running_guess_within_a_second_and_says_so(
    tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool, workers: Workers
) -> None:
    world = {"root": str(tmp_path), "network_latency_seconds": LONG_SECONDS}
    Session.objects.filter(pk=session.pk).update(world=world)
    agent.tools.set([register_tool("builtin", catalog.BUILTIN["search_documents"])])
    workers.tools(processes=1).wait_until_ready()
    job = run_guess(session, spec(Toolbox.of(agent), "search_documents", {"query": "lead"}))
    client = Client()
    client.force_login(User.objects.create_superuser("op1"))
    page = client.post("/scheduler/pause/", PRESS, follow=True).content.decode()
    assert TOLD.search(page), "nothing of what was ended is told"
    assert ToolJob.objects.get(pk=job.pk).end_reason == "paused"
