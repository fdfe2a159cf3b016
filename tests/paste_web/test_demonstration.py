import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth import authenticate

from paste_web import embedded
from paste_web.demonstration import report, stage
from paste_web.demonstration.play import ROUND, Pair, Round
from paste_web.processes import Processes
from speculation import access
from speculation.agent.demo import AGENTS
from speculation.models import AgentProfile, ApiKey, Approval, AuditEntry, Origin, PatternRecord, Session, ToolRecord
from speculation.policy import decide

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class StandIn:
    """What a report reads of figures and sessions."""

    task_seconds: float = 0.0
    hidden_seconds: float = 0.0
    saved_seconds: float = 0.0
    wasted_seconds: float = 0.0
    hits: int = 0
    launches: int = 0
    name: str = ""
    figures: "StandIn | None" = None


def pair(name: str, off: float, on: float) -> Pair:
    figures = StandIn(task_seconds=on, hidden_seconds=3.0, saved_seconds=2.0, wasted_seconds=1.0, hits=2, launches=4)
    return Pair(StandIn(name=name), StandIn(figures=StandIn(task_seconds=off)), StandIn(figures=figures))  # type: ignore[arg-type]


def test_the_document_has_the_promised_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pair, "results_equal", True)
    document = report.document([pair("b", 20.0, 15.0), pair("a", 10.0, 5.0), pair("b", 30.0, 25.0)])
    assert document == {
        "agents": [
            {
                "name": "a",
                "off": {"task_seconds": 10.0},
                "on": {"task_seconds": 5.0, "hidden_seconds": 3.0, "saved_seconds": 2.0, "wasted_seconds": 1.0, "hits": 2, "launches": 4},
                "results_equal": True,
            },
            {
                "name": "b",
                "off": {"task_seconds": 25.0},
                "on": {"task_seconds": 20.0, "hidden_seconds": 3.0, "saved_seconds": 2.0, "wasted_seconds": 1.0, "hits": 4, "launches": 8},
                "results_equal": True,
            },
        ],
        "reduction": 0.25,
    }


@pytest.mark.django_db(transaction=True)
class TestStage:
    def test_every_decision_is_by_demo_with_a_reason_and_one_tool_is_left_to_approve(self) -> None:
        stage.load_agents(leaves_one_to_approve=True)
        levels = {approval.tool.name: approval.level for approval in Approval.objects.select_related("tool")}
        assert levels["fetch_page"] == "shadow" and levels["search_documents"] == "full"
        assert "update_record" not in levels
        assert all(approval.who == "demo" and approval.why for approval in Approval.objects.all())
        assert AuditEntry.objects.filter(who="demo").count() == Approval.objects.count()

    def test_loading_twice_decides_nothing_twice(self) -> None:
        stage.load_agents(leaves_one_to_approve=True)
        before = Approval.objects.count()
        stage.load_agents(leaves_one_to_approve=True)
        assert Approval.objects.count() == before
        assert AgentProfile.objects.count() == len(AGENTS)

    def test_what_a_person_decided_stays(self) -> None:
        stage.load_agents(leaves_one_to_approve=True)
        tool = ToolRecord.objects.get(name="search_documents")
        decide(
            tool,
            "never",
            who="ada",
            why="not here",
            expected_definition_hash=tool.definition_hash,
            expected_policy_version=tool.policy_version,
        )
        stage.load_agents(leaves_one_to_approve=False)
        assert Approval.objects.filter(tool=tool).order_by("-id")[0].who == "ada"

    def test_the_password_is_new_at_each_start(self) -> None:
        first, second = stage.make_login(), stage.make_login()
        assert re.fullmatch(r"\w{4}-\w{4}-\w{4}", second)
        assert authenticate(username="demo", password=first) is None
        assert authenticate(username="demo", password=second) is not None

    def test_the_key_is_kept_in_a_private_file_and_made_anew_when_lost(self) -> None:
        path = stage.make_key()
        text = path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        assert stage.make_key().read_text() == text
        path.unlink()
        renewed = stage.make_key().read_text()
        assert access.find_key(renewed.strip()) and not access.find_key(text.strip())
        assert ApiKey.objects.filter(revoked_at=None).count() == 1
        path.unlink()


@pytest.mark.django_db(transaction=True)
class TestRound:
    @pytest.fixture
    def agents(self) -> list[AgentProfile]:
        return stage.load_agents(leaves_one_to_approve=True)

    def current(self, agents: list[AgentProfile], tmp_path: Path) -> Round:
        return Round(agents, Processes(tmp_path, tmp_path))

    def use(self, agent: AgentProfile, count: int, number: int = 1) -> None:
        for task in AGENTS[agent.script].tasks[:count]:
            Session.objects.create(agent=agent, task=task, origin=Origin.DEMO, labels={ROUND: str(number)})

    def test_a_task_that_a_session_had_is_not_fresh_any_more(self, agents: list[AgentProfile], tmp_path: Path) -> None:
        self.use(agents[0], 3)
        current = self.current(agents, tmp_path)
        assert current.fresh_tasks(agents[0]) == list(AGENTS[agents[0].script].tasks[3:])
        assert current.fresh_tasks(agents[1]) == list(AGENTS[agents[1].script].tasks)
        assert not current.make_room(4)

    def test_when_fresh_tasks_run_out_what_was_learned_is_forgotten(
        self, agents: list[AgentProfile], tmp_path: Path
    ) -> None:
        self.use(agents[0], 14)
        PatternRecord.objects.create(agent=agents[0], key="k", context=[], tool="t", mapping={}, statistics={})
        assert self.current(agents, tmp_path).make_room(1)
        assert not PatternRecord.objects.exists()
        self.use(agents[0], 2, number=2)
        again = self.current(agents, tmp_path)
        assert again.number == 2
        assert again.fresh_tasks(agents[0]) == list(AGENTS[agents[0].script].tasks[2:])

    def test_sessions_of_an_earlier_run_are_ended(self, agents: list[AgentProfile], tmp_path: Path) -> None:
        self.use(agents[0], 1)
        self.current(agents, tmp_path).cancel_leftovers()
        assert Session.objects.get().status == "cancelled"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PASTE_HOME", "DATABASE_URL"))}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--port", "0", "--pairs", "1"],
        cwd=ROOT,
        env={**clean, "PASTE_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout:
        yield process, tmp_path / "home"
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_fresh_demo_promotes_within_a_minute_of_the_printed_address(
    demo: tuple["subprocess.Popen[str]", Path],
) -> None:
    process, home = demo
    assert process.stdout
    assert re.search(r"http://127\.0\.0\.1:\d+/ +user demo +password \S+", process.stdout.readline())
    address_printed_at = time.time()
    said = _read_until(process, "pair:")
    addresses = embedded.running(home)
    assert addresses
    with psycopg.connect(addresses.database_url) as database:
        first = database.execute(
            "SELECT extract(epoch FROM min(at)) FROM speculation_eventrecord"
            " WHERE kind = 'call_asked' AND payload->>'outcome' IN ('used', 'joined')"
        ).fetchone()
    assert first and first[0] and float(first[0]) - address_printed_at < 60
    assert "same results" in said[-1], json.dumps(said)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


def _read_until(process: "subprocess.Popen[str]", word: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"it ended before saying {word!r}: {lines}")
