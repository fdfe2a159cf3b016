"""The section `harm`: whether guesses that are always wrong slow down real work.

Blocks of sessions arrive at drawn moments; each block is lived by every arm, in drawn order: without speculation, with an
agent that is sure of calls nobody ever makes, and once more without. All arms of a block have the same arrivals, calls and
times. Half of a tool's time is computing, so that wrong guesses take processors and not only slots.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from django.db.models import F, Sum

from paste_web.benchmarks import made_up, stage
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.harm_table import percent_of
from paste_web.benchmarks.made_up import Shape
from paste_web.benchmarks.quantities import Interval, interval_of, quantile
from paste_web.benchmarks.waiting import task_seconds, wait_for_ends
from paste_web.processes import Processes
from speculation.models import AgentProfile, Arm, Session, ToolJob

SHAPE = Shape(model_seconds=0.5, tool_seconds=0.5, busy_share=0.5, names_next=False)
RESERVED = 1
ARMS = {"off": Arm.OFF, "all_wrong": Arm.ON, "off_again": Arm.OFF}
MOST_RISE = 0.01
MOST_CONTROL_WIDTH = 0.02
LONGEST_BLOCK_SECONDS = 300.0
GAP_ORDER = 4
"""Of the gaps between arrivals. Of order 1, exponential ones, a block with a bunch of arrivals queues for most of its time, which
multiplies every small difference: over 17 blocks the control's interval was 3.9 % wide."""
WARM_UPS = 2
"""A call holds its slot for longer than its tool takes, the more so the busier the processors are: its first measure is of the
pace by the tool's time, its second of about the pace that is wanted."""


@dataclass
class Lived:
    """One arm, block after block."""

    means: list[float] = field(default_factory=list)
    """Mean task seconds of each block."""
    task_seconds: list[float] = field(default_factory=list)
    run_seconds: list[float] = field(default_factory=list)
    """Of each real call that nothing served early: how long it held its slot."""
    uses: list[float] = field(default_factory=list)
    """Share of all slots that real calls used while sessions arrived, of each block."""
    guesses: int = 0
    guess_seconds: float = 0.0
    served: int = 0
    head_start_seconds: float = 0.0
    """How long the guesses that served a call had run when it was asked for, in all."""


def harm_document(choices: LiveChoices, tell: Callable[[str], object]) -> dict[str, Any]:
    rng = random.Random(choices.seed)
    shape = replace(SHAPE, calls=choices.session_calls)
    lived = {name: Lived() for name in ARMS}
    with stage.ground(breakers=False) as processes:
        stage.size_pool(choices.slots, RESERVED)
        agent = made_up.make_agent("all-wrong", shape, foresees="others", seed=choices.seed)
        stage.start_tools(processes, choices.slots)
        stage.start_agents(processes, max(32, choices.sessions))
        root = stage.new_folder()
        run_seconds = SHAPE.tool_seconds
        for number in range(WARM_UPS):
            warm = Lived()
            live_block(agent, root, Arm.OFF, choices, run_seconds, f"warm-up {number}", warm, processes)
            run_seconds = fmean(warm.run_seconds)
            tell(f"harm: warm-up {number + 1} of {WARM_UPS}: a real call runs {run_seconds:.3f} s")
        for number in range(choices.pairs):
            for name in rng.sample(list(ARMS), len(ARMS)):
                live_block(agent, root, ARMS[name], choices, run_seconds, str(number), lived[name], processes)
            tell(f"harm: block {number + 1} of {choices.pairs}: {_so_far(lived)}")
    return {**setting(choices), "run_seconds": round(run_seconds, 4), **compared(lived)}


def live_block(
    agent: AgentProfile,
    root: Path,
    arm: Arm,
    choices: LiveChoices,
    run_seconds: float,
    block: str,
    lived: Lived,
    processes: Processes,
) -> None:
    """Submit the block's sessions as they arrive, wait for their ends, and add what they took.

    run_seconds: how long a real call holds its slot, on which the pace of the arrivals rests.
    """
    rng = random.Random(f"{choices.seed} {block}")
    shape = replace(SHAPE, calls=choices.session_calls)
    arrivals = _arrivals(rng, choices, run_seconds)
    began_at = time.monotonic()
    sessions = []
    for arrives_at in arrivals:
        time.sleep(max(0.0, began_at + arrives_at - time.monotonic()))
        sessions.append(made_up.submit(agent, shape, root, random.Random(rng.getrandbits(64)), arm))
    ended = wait_for_ends(sessions, processes, LONGEST_BLOCK_SECONDS)
    took = [task_seconds(session) for session in ended]
    lived.means.append(fmean(took))
    lived.task_seconds += took
    _add_jobs(ended, lived, choices.slots)


def _arrivals(rng: random.Random, choices: LiveChoices, run_seconds: float) -> list[float]:
    """Seconds from the block's beginning; gaps of a gamma distribution, so that real calls use that share of the slots."""
    mean_gap = choices.session_calls * run_seconds / (choices.use * choices.slots)
    moments = [0.0]
    while len(moments) < choices.sessions:
        moments.append(moments[-1] + rng.gammavariate(GAP_ORDER, mean_gap / GAP_ORDER))
    return moments


def _add_jobs(sessions: Sequence[Session], lived: Lived, slots: int) -> None:
    jobs = ToolJob.objects.filter(session__in=sessions, started_at__isnull=False, ended_at__isnull=False)
    real = jobs.filter(call_id__isnull=False).values_list("started_at", "ended_at")
    first, last = sessions[0].created_at, sessions[-1].created_at
    within = sum(max(0.0, (min(end, last) - max(start, first)).total_seconds()) for start, end in real)
    if last > first:
        lived.uses.append(within / slots / (last - first).total_seconds())
    lived.run_seconds += [(end - start).total_seconds() for start, end in real.filter(promoted_at=None)]
    guesses = jobs.filter(call_id=None)
    lived.guesses += guesses.count()
    spent = guesses.aggregate(seconds=Sum(F("ended_at") - F("started_at")))["seconds"]
    lived.guess_seconds += spent.total_seconds() if spent else 0.0
    served = jobs.filter(promoted_at__isnull=False).values_list("started_at", "promoted_at")
    lived.served += len(served)
    lived.head_start_seconds += sum(max(0.0, (asked - start).total_seconds()) for start, asked in served)


def compared(lived: dict[str, Lived]) -> dict[str, Any]:
    """Paired by block: each arm's mean over that of the two arms without speculation, and of those two over each other."""
    off, wrong, again = (lived[name].means for name in ARMS)
    rise = interval_of([ours / fmean(both) - 1 for ours, *both in zip(wrong, off, again, strict=True)])
    control = interval_of([second / first - 1 for first, second in zip(off, again, strict=True)])
    return {
        "arms": {name: _arm(one) for name, one in lived.items()},
        "rise": rise.to_json(),
        "control": control.to_json(),
        "verdict": verdict(rise, control),
    }


def _so_far(lived: dict[str, Lived]) -> str:
    """So that a run that is broken off has told something."""
    found = compared(lived)
    means = ", ".join(f"{name} {one.means[-1]:.3f} s" for name, one in lived.items())
    return f"{means}; so far rise {percent_of(found['rise'])}, control {percent_of(found['control'])}"


def verdict(rise: Interval, control: Interval) -> dict[str, Any]:
    """The rule: the rise's upper bound is at most 1 % plus half the width of the control's interval, itself under 2 %."""
    allowed = MOST_RISE + control.half_width
    control_is_narrow = 2 * control.half_width < MOST_CONTROL_WIDTH
    return {
        "upper_bound": rise.to_json()["high"],
        "allowed": round(allowed, 5) if control.number > 1 else None,
        "control_is_narrow_enough": control_is_narrow,
        "holds": control_is_narrow and rise.high <= allowed,
    }


def _arm(lived: Lived) -> dict[str, Any]:
    return {
        "sessions": len(lived.task_seconds),
        "mean_task_seconds": round(fmean(lived.task_seconds), 4),
        "p95_task_seconds": round(quantile(lived.task_seconds, 0.95), 4),
        "use_of_slots": round(fmean(lived.uses), 3) if lived.uses else None,
        "guesses_run": lived.guesses,
        "guess_seconds": round(lived.guess_seconds, 2),
        "calls_served_by_guesses": lived.served,
        "head_start_seconds": round(lived.head_start_seconds, 3),
    }


def setting(choices: LiveChoices) -> dict[str, Any]:
    return {
        "pairs": choices.pairs,
        "sessions_a_block": choices.sessions,
        "use": choices.use,
        "slots": choices.slots,
        "reserved": RESERVED,
        "gap_order": GAP_ORDER,
        "calls_a_session": choices.session_calls,
        "model_seconds": SHAPE.model_seconds,
        "tool_seconds": SHAPE.tool_seconds,
        "busy_share": SHAPE.busy_share,
        "seed": choices.seed,
    }
