"""The section `throttle`: what is saved when a growing share of the guesses worth running is not run.

Real sessions of the three demo agents, which learned from two sessions each: every task is lived without speculation
(serial) and at each throttle, in drawn order, one of each agent at a time.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from django.conf import settings

from paste_web import starting
from paste_web.benchmarks import stage
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.quantities import interval_of
from paste_web.benchmarks.waiting import wait_for_ends, wait_until
from paste_web.demonstration.stage import library
from paste_web.processes import Processes
from speculation.agent.demo import AGENTS, DemoAgent
from speculation.jobs import POOL
from speculation.models import AgentProfile, Arm, ModelKind, Origin, Session, SpeculationMode, ToolRecord, WorkerPool
from speculation.policy import decide, register_tool
from speculation.queries import told
from speculation.submission import submit_task
from speculation.verdicts import WRITING, newest_approval
from tools import catalog

SERIAL = "serial"
LEARNING_SESSIONS = 2
DEMO_TOKENS_PER_SECOND, DEMO_LATENCY_SECONDS = 40.0, 2.5
LONGEST_SESSION_SECONDS = 300.0
LONGEST_MINING_SECONDS = 60.0
WHY = "Benchmark: the demo's own files, records and pages."

Ratios = dict[str, list[float]]
"""By level, one for each task: task seconds over those of the same task's serial session."""


def throttle_document(choices: LiveChoices, tell: Callable[[str], object]) -> dict[str, Any]:
    with stage.ground() as processes:
        stage.size_pool(settings.PASTE_TOOL_SLOTS, settings.PASTE_TOOL_RESERVED)
        port = starting.free_port()
        variables = {
            "PASTE_SCRIPTED_TOKENS_PER_SECOND": str(DEMO_TOKENS_PER_SECOND * choices.speed),
            "PASTE_NETWORK_LATENCY_SECONDS": str(DEMO_LATENCY_SECONDS / choices.speed),
            "PASTE_DEMO_LIBRARY_URL": f"http://127.0.0.1:{port}",
            "PASTE_ALLOWED_PRIVATE_HOSTS": f"127.0.0.1:{port}",
        }
        processes.start(library(port))
        stage.start_tools(processes, settings.PASTE_TOOL_SLOTS, variables)
        stage.start_agents(processes, 32, variables)
        agents = [load(demo) for demo in AGENTS.values()]
        tell(f"throttle: {LEARNING_SESSIONS} learning sessions of each agent")
        learn(agents, processes)
        ratios, hits = live(agents, choices, processes, tell)
    return {
        "rounds": choices.rounds,
        "agents": sorted(AGENTS),
        "slots": settings.PASTE_TOOL_SLOTS,
        "tokens_per_second": DEMO_TOKENS_PER_SECOND * choices.speed,
        "network_latency_seconds": round(DEMO_LATENCY_SECONDS / choices.speed, 3),
        **summed_up(ratios, hits),
    }


def load(demo: DemoAgent) -> AgentProfile:
    """The benchmark's own copy of a demo agent, its reads approved for it alone, with nothing learned yet."""
    agent, _ = AgentProfile.objects.update_or_create(
        name=f"{stage.AGENT_PREFIX}{demo.name}",
        defaults={
            "title": f"Benchmark: {demo.title}",
            "model_kind": ModelKind.SCRIPTED,
            "script": demo.name,
            "world": demo.world,
            "system_prompt": demo.system_prompt,
            "mode": SpeculationMode.ON,
        },
    )
    tools = [register_tool("builtin", catalog.BUILTIN[name]) for name in demo.tools]
    agent.tools.set(tools)
    for tool in tools:
        _approve(tool, agent)
    return agent


def _approve(tool: ToolRecord, agent: AgentProfile) -> None:
    newest = newest_approval(tool, agent)
    is_decided = newest is not None and newest.agent_id and newest.definition_hash == tool.definition_hash
    if tool.effect in WRITING or is_decided:
        return
    decide(
        tool,
        "full",
        agent=agent,
        who="benchmark",
        why=WHY,
        expected_definition_hash=tool.definition_hash,
        expected_policy_version=tool.policy_version,
        may_tell_outsiders=True,
        may_tell_new_values=True,
    )


def learn(agents: Sequence[AgentProfile], processes: Processes) -> None:
    sessions = [
        submit_task(agent, task, speculation=str(Arm.OFF), origin=Origin.LEARNING)
        for agent in agents
        for task in AGENTS[agent.script].tasks[:LEARNING_SESSIONS]
    ]
    wait_for_ends(sessions, processes, LONGEST_SESSION_SECONDS)
    unmined = Session.objects.filter(pk__in=[session.pk for session in sessions], mined_at=None)
    wait_until(lambda: not unmined.exists(), processes, LONGEST_MINING_SECONDS, "mining")


def live(
    agents: Sequence[AgentProfile], choices: LiveChoices, processes: Processes, tell: Callable[[str], object]
) -> tuple[Ratios, Mapping[str, int]]:
    rng = random.Random(choices.seed)
    names = [SERIAL, *map(str, choices.throttles)]
    ratios: Ratios = {name: [] for name in names[1:]}
    hits = dict.fromkeys(names, 0)
    for number in range(choices.rounds):
        tell(f"throttle: round {number + 1} of {choices.rounds}")
        seconds = {}
        for name in rng.sample(names, len(names)):
            seconds[name], served = _live_one(agents, LEARNING_SESSIONS + number, name, processes)
            hits[name] += served
        for name in ratios:
            ratios[name] += [ours / serial for ours, serial in zip(seconds[name], seconds[SERIAL], strict=True)]
    return ratios, hits


def _live_one(agents: Sequence[AgentProfile], number: int, name: str, processes: Processes) -> tuple[list[float], int]:
    """The agents' tasks of this number under one throttle: task seconds, and how many calls guesses served."""
    WorkerPool.objects.filter(name=POOL).update(throttle_percent=0 if name == SERIAL else int(name))
    arm = Arm.OFF if name == SERIAL else Arm.ON
    sessions = [
        submit_task(agent, tasks[number % len(tasks)], speculation=str(arm), origin=Origin.REPLAY)
        for agent in agents
        if (tasks := AGENTS[agent.script].tasks)
    ]
    figures = [told(one).figures for one in wait_for_ends(sessions, processes, LONGEST_SESSION_SECONDS)]
    return [one.task_seconds for one in figures], sum(one.hits for one in figures)


def summed_up(ratios: Ratios, hits: Mapping[str, int]) -> dict[str, Any]:
    """`savings`: 1 minus the task's time over its serial time. Graceful: none saves more than a lighter throttle, beyond chance."""
    savings = {name: interval_of([1 - one for one in values]) for name, values in ratios.items()}
    steps = [
        interval_of([tight - light for light, tight in zip(ratios[lighter], ratios[tighter], strict=True)])
        for lighter, tighter in pairwise(ratios)
    ]
    return {
        "levels": [
            {
                "throttle_percent": int(name),
                "ratio": round(fmean(ratios[name]), 4),
                "savings": one.to_json(),
                "hits": hits[name],
            }
            for name, one in savings.items()
        ],
        "is_never_negative": all(one.high >= 0 for one in savings.values()),
        "falls_gracefully": all(step.high >= 0 for step in steps),
    }
