"""Every task of every demo agent, end to end: the real loop, the real scripts, the real tools on a real world."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from speculation.agent.demo import AGENTS, DemoAgent
from speculation.agent.loop import AgentLoop
from speculation.agent.scripted import ScriptedModel
from speculation.agent.types import Message, ModelEvent, Outcome, RequestedCall, TurnEnded
from tools.base import ToolContext
from tools.catalog import BUILTIN
from tools.running import execute
from tools.world import TEMPLATES, World, create_world, remove_world
from tools.worlds.site import serve

ALL_TASKS = [(agent, task) for agent in AGENTS.values() for task in agent.tasks]

FINDINGS: Mapping[str, Sequence[str]] = {
    "lead-cooled fast": ["Lead does not react with air or water", "burns in air and reacts violently with water"],
    "lithium iron phosphate battery": ["about 90 to 160 watt-hours", "about 100 to 160 watt-hours"],
    "suspension bridge": ["2023 metres", "about 1100 metres"],
    "shield volcano": ["Flows move slowly", "more than 100 kilometres an hour"],
    "atomic clock": ["less than a second in a hundred million years", "half a second a day"],
    "B-tree": ["Random inserts, however, rewrite whole pages", "writes them out as sorted files"],
    "refracting telescope": ["held only at its edge", "supported from behind"],
    "aluminium": ["only some five per cent", "Electric furnaces melt scrap"],
    "Gulf Stream": ["driven mainly by the wind", "driven by differences of temperature and salt"],
    "nitrogen fixation": ["Rhizobium bacteria", "The fungus brings phosphorus and water"],
    "molten salt reactor": ["Salt cannot boil", "keeps the water from boiling"],
    "lead-acid battery": ["A battery left discharged sulphates", "Charging below freezing plates lithium"],
    "arch bridge": ["turns its load into compression", "each member is only pulled or pushed"],
    "leap second": ["smear the extra second", "Programs should store moments in universal time"],
    "titanium": ["takes up oxygen and turns brittle", "traces of other elements spoil its conductivity"],
    "hash table": ["Two keys may fall on the same place", "an absent key is present"],
}
"""First subject of a research task: what the two quotations of its answer must hold."""

SETTLEMENTS: Mapping[str, tuple[str, int]] = {
    "aiko.tanaka@example.com": ("approved", 38490),
    "amina.diallo@example.com": ("approved", 16190),
    "chloe.dubois@example.com": ("declined", 0),
    "diego.alvarez@example.com": ("approved", 25480),
    "elena.rossi@example.com": ("approved", 1290),
    "fatima.zahra@example.com": ("approved", 5580),
    "george.petrou@example.com": ("approved", 6780),
    "hana.novakova@example.com": ("approved", 33780),
    "ingrid.larsen@example.com": ("approved", 15880),
    "jonas.weber@example.com": ("approved", 5069),
    "luis.herrera@example.com": ("approved", 23080),
    "mara.okafor@example.com": ("approved", 30580),
    "noah.martin@example.com": ("declined", 0),
    "oliver.brandt@example.com": ("approved", 4349),
    "peter.lindqvist@example.com": ("approved", 29180),
    "priya.nair@example.com": ("approved", 38180),
    "samuel.adeyemi@example.com": ("approved", 24280),
    "tom.kowalski@example.com": ("approved", 12290),
}
"""What each customer's request comes to by the shop's policies, in cents: worked out from records.json apart from the script."""

RULES = {
    "charged twice": "duplicate charges",
    "late delivery": "late delivery",
    "arrived damaged": "damaged goods",
    "order cancelled": "cancelled orders",
}
"""A ticket's subject: the policy that the search has to find for it."""


@dataclass
class RealHost:
    """Runs every call with the real tool at once, and counts."""

    context: ToolContext
    calls: list[RequestedCall] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)

    def user_said(self, text: str) -> None:
        raise AssertionError("a demo task is one message")

    def turn_started(self, turn: int) -> None: ...

    def streamed(self, turn: int, event: ModelEvent) -> None: ...

    def turn_ended(self, turn: int, ended: TurnEnded) -> None:
        self.widths.append(len(ended.calls))

    def answer_calls(self, turn: int, calls: Sequence[RequestedCall]) -> Sequence[Message]:
        self.calls.extend(calls)
        results = [execute(BUILTIN[call.tool], call.arguments, self.context) for call in calls]
        return [
            Message(
                "tool", result.content, call_id=call.call_id, tool=call.tool, ok=result.ok, structured=result.structured
            )
            for call, result in zip(calls, results, strict=True)
        ]


class NoUser:
    def reply(self, messages: Sequence[Message]) -> str | None:
        return None


@dataclass
class Clock:
    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Finished:
    outcome: Outcome
    host: RealHost
    decode_seconds: float
    settled: list[tuple[str, str, int]] = field(default_factory=list)
    """Of a world with refunds: (customer, status, cents) of each request that is no longer open."""


@pytest.fixture(scope="module")
def library() -> Iterator[str]:
    server, url = serve(0)
    with server:
        yield url
        server.shutdown()


def run_task(agent: DemoAgent, task: str, world: World, library: str) -> Finished:
    host = RealHost(
        ToolContext(
            world.root,
            world.database_url,
            world.schema,
            allowed_private_hosts=frozenset({library.removeprefix("http://")}),
        )
    )
    clock = Clock()
    model = ScriptedModel(agent.script, sleep=clock.sleep, clock=lambda: clock.now)
    loop = AgentLoop(model, NoUser(), host, (), agent.system_prompt, max_turns=12)
    return Finished(loop.run([Message("user", task)]), host, clock.now)


def settled_requests(world: World) -> list[tuple[str, str, int]]:
    query = sql.SQL(
        "SELECT o.email, r.status, r.amount_cents FROM {} r JOIN {} o USING (order_id) WHERE r.status <> 'requested'"
    )
    tables = [sql.Identifier(world.schema, name) for name in ("refunds", "orders")]
    with psycopg.connect(world.database_url) as connection:
        return connection.execute(query.format(*tables)).fetchall()


@pytest.fixture(scope="module")
def finished(database_url: str, library: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """Every task's end, each in a world of its own."""
    ends = {}
    for number, (agent, task) in enumerate(ALL_TASKS):
        root = tmp_path_factory.mktemp("world")
        world = create_world(TEMPLATES / agent.world, root, database_url, f"demo_{number}", {"library": library})
        ends[task] = run_task(agent, task, world, library)
        if agent.world == "support":
            ends[task].settled = settled_requests(world)
        remove_world(world)
    return ends


@pytest.mark.parametrize("agent", AGENTS.values(), ids=lambda agent: agent.name)
def test_an_agent_has_enough_tasks_and_they_differ(agent: DemoAgent) -> None:
    assert len(set(agent.tasks)) == len(agent.tasks) >= 14


@pytest.mark.parametrize("agent", AGENTS.values(), ids=lambda agent: agent.name)
def test_an_agent_knows_its_own_tasks_and_no_others(agent: DemoAgent) -> None:
    assert all(agent.knows(task) for task in agent.tasks)
    assert not agent.knows(agent.tasks[0] + " ")
    assert not any(agent.knows(task) for other in AGENTS.values() if other is not agent for task in other.tasks)


@pytest.mark.parametrize("agent", AGENTS.values(), ids=lambda agent: agent.name)
def test_an_agent_uses_built_in_tools_only(agent: DemoAgent) -> None:
    assert set(agent.tools) <= set(BUILTIN)
    assert (TEMPLATES / agent.world).is_dir()


@pytest.mark.slow
def test_every_task_succeeds_within_the_intended_turns_and_calls(finished: dict[str, Finished]) -> None:
    for agent, task in ALL_TASKS:
        end = finished[task]
        assert end.outcome.status == "succeeded", task
        assert "could not finish" not in (end.outcome.answer or ""), end.outcome
        assert 5 <= len(end.host.widths) <= 8, (task, end.host.widths)
        assert 5 <= len(end.host.calls) <= 10, (task, end.host.widths)
        assert {call.tool for call in end.host.calls} <= set(agent.tools)


@pytest.mark.slow
def test_every_agent_asks_for_several_things_at_once_but_does_not_always_take_the_same_path(
    finished: dict[str, Finished],
) -> None:
    for agent in AGENTS.values():
        paths = {tuple((call.call_id, call.tool) for call in finished[task].host.calls) for task in agent.tasks}
        wide = [task for task in agent.tasks if max(finished[task].host.widths) > 1]
        assert len(wide) >= len(agent.tasks) / 2, agent.name
        assert len(paths) > 1, agent.name


@pytest.mark.slow
def test_a_turn_takes_about_three_seconds_to_decode(finished: dict[str, Finished]) -> None:
    for agent in AGENTS.values():
        ends = [finished[task] for task in agent.tasks]
        mean_seconds = sum(end.decode_seconds for end in ends) / sum(len(end.host.widths) for end in ends)
        assert 2.5 < mean_seconds < 4.0, (agent.name, mean_seconds)


@pytest.mark.slow
@pytest.mark.parametrize("task", AGENTS["research"].tasks)
def test_a_research_answer_quotes_the_right_sentences_of_pages_that_were_read(
    finished: dict[str, Finished], task: str
) -> None:
    end = finished[task]
    quotations = next(quotations for subject, quotations in FINDINGS.items() if task.startswith(f'Compare "{subject}'))
    assert all(quotation in (end.outcome.answer or "") for quotation in quotations), end.outcome
    read = [call.arguments["url"] for call in end.host.calls if call.tool == "fetch_page"]
    cited = re.findall(r"\((http[^)]+)\)", end.outcome.answer or "")
    assert len(cited) == 2
    assert set(cited) <= set(read)


@pytest.mark.slow
@pytest.mark.parametrize("task", AGENTS["coding"].tasks)
def test_a_coding_task_turns_failing_tests_into_passing_ones(finished: dict[str, Finished], task: str) -> None:
    end = finished[task]
    assert re.search(
        r"is fixed in tally/\w+\.py, line \d+: .* Failing tests before: [12], after: 0\.$", end.outcome.answer or ""
    )
    assert [call.tool for call in end.host.calls].count("run_command") == 2


@pytest.mark.slow
@pytest.mark.parametrize("task", AGENTS["support"].tasks)
def test_a_support_task_settles_its_own_request_and_no_other(finished: dict[str, Finished], task: str) -> None:
    end = finished[task]
    email = re.search(r"\S+@example.com", task)
    assert email is not None
    status, cents = SETTLEMENTS[email[0]]
    assert end.settled == [(email[0], status, cents)]
    assert f"is {status}" in (end.outcome.answer or "")
    rule = next(rule for subject, rule in RULES.items() if f'"{subject}"' in task)
    assert f'Rule: "Refund policy: {rule}"' in (end.outcome.answer or "")


@pytest.mark.slow
def test_what_is_repaired_is_not_repaired_again(database_url: str, library: str, tmp_path: Path) -> None:
    """The script looks at what the tests say: in a world that is repaired already it changes nothing."""
    agent = AGENTS["coding"]
    world = create_world(TEMPLATES / agent.world, tmp_path / "world", database_url, "demo_twice", {"library": library})
    run_task(agent, agent.tasks[0], world, library)
    again = run_task(agent, agent.tasks[0], world, library)
    remove_world(world)
    assert "pass already" in (again.outcome.answer or "")
    assert "edit_file" not in [call.tool for call in again.host.calls]


@pytest.mark.parametrize("agent", AGENTS.values(), ids=lambda agent: agent.name)
def test_a_script_says_so_when_a_tool_refuses(agent: DemoAgent) -> None:
    said = agent.script([Message("user", agent.tasks[0])])
    call = RequestedCall("1.0", said.calls[0].tool, said.calls[0].arguments)
    refused = Message("tool", "The records cannot be reached.", call_id="1.0", tool=call.tool, ok=False)
    turn = agent.script([Message("user", agent.tasks[0]), Message("assistant", said.text, calls=[call]), refused])
    assert turn.calls == ()
    assert "The records cannot be reached." in turn.text


def test_the_readme_asks_for_a_task_that_the_agent_can_do() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    body = re.search(r"-d '(\{.*\})'", readme)
    assert body
    asked = json.loads(body[1])
    assert AGENTS[asked["agent"]].knows(asked["task"])
