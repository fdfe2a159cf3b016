"""Recorded sessions as scripts for the replay: what their tools do and how long everything took. Needs no database.

Tool times are drawn per distinct call, or those recorded: the mean of a call's own in its session, else its tool's in
training, else drawn.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from speculation.engine.identity import Identity
from speculation.engine.script import RecordedSession, Script, World, drawn_seconds, write_script
from speculation.evaluation_sets import SourceSets
from speculation.traces import Effects, TraceSession, thinking_seconds, tool_seconds


def world_of(sets: SourceSets, effects: Effects, *, seed: int, draws_tool_times: bool) -> World:
    """The tools of one source."""
    names = {event["name"] for run in [*sets.train, *sets.test] for event in run.events if event["type"] == "tool"}
    tools = {name: effects.traits(sets.source, name) for name in sorted(names)}
    drawn = drawn_seconds(seed)
    if draws_tool_times:
        return World(tools, drawn)
    means = _mean_seconds(sets.train)
    known = {
        name: replace(traits, expected_seconds=means.get(name, traits.expected_seconds))
        for name, traits in tools.items()
    }
    return World(known, lambda key: means[key[0]] if key[0] in means else drawn(key))


def script_of(run: TraceSession, world: World, *, draws_tool_times: bool) -> Script:
    """One session, its calls judged and timed."""
    turns = {
        index: thinking_seconds(event) for index, event in enumerate(run.opened_events()) if event["type"] == "llm"
    }
    seconds = {} if draws_tool_times else _call_seconds(run, world)
    return write_script(RecordedSession(run.to_events(), turns, seconds), world)


def _mean_seconds(runs: Iterable[TraceSession]) -> dict[str, float]:
    """How long each tool usually takes, where that was recorded."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for run in runs:
        for event in run.events:
            if event["type"] == "tool" and (seconds := tool_seconds(event, run.source)) is not None:
                found[event["name"]].append(seconds)
    return {tool: sum(seconds) / len(seconds) for tool, seconds in found.items()}


def _call_seconds(run: TraceSession, world: World) -> dict[Identity, float]:
    """Each distinct call's recorded duration in this session; the mean where it was made more than once."""
    found: defaultdict[Identity, list[float]] = defaultdict(list)
    for event in run.events:
        if event["type"] == "tool" and (seconds := tool_seconds(event, run.source)) is not None:
            found[world.traits(event["name"]).identity(event["arguments"])].append(seconds)
    return {key: sum(seconds) / len(seconds) for key, seconds in found.items()}
