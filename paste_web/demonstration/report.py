"""What the demonstration says: a line a session, a line a pair, and one document."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from paste_web.demonstration.play import Ended, Pair
from speculation.models import Arm


def session_line(ended: Ended, address: str) -> str:
    """Task seconds and, with speculation, what it hid, saved, wasted and served."""
    figures, session = ended.figures, ended.session
    words = [f"{session.agent.name:<12}", "with   " if session.arm == Arm.ON else "without", f"{figures.task_seconds:5.1f} s"]
    if session.arm == Arm.ON:
        words += [
            f"hidden {figures.hidden_seconds:.1f} s",
            f"saved {figures.saved_seconds:.1f} s",
            f"wasted {figures.wasted_seconds:.1f} s",
            f"{figures.hits} of {figures.eligible_calls} served early",
        ]
    return "   ".join([*words, f"{address}sessions/{session.pk}/" if address else str(session.pk)])


def pair_line(pair: Pair) -> str:
    off, on = pair.off.figures.task_seconds, pair.on.figures.task_seconds
    equal = "same results" if pair.results_equal else "RESULTS DIFFER"
    difference = f"{abs(1 - on / off):.0%} {'less' if on < off else 'more'}"
    return f"{pair.agent.name:<12}   pair: without {off:.1f} s, with {on:.1f} s, {difference}, {equal}"


def document(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Means over each agent's pairs; `reduction` is that of the mean task time over all pairs."""
    names = sorted({pair.agent.name for pair in pairs})
    off, on = (mean(getattr(pair, arm).figures.task_seconds for pair in pairs) for arm in ("off", "on"))
    return {
        "agents": [_agent(name, [pair for pair in pairs if pair.agent.name == name]) for name in names],
        "reduction": round(1 - on / off, 3),
    }


def _agent(name: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    on = [pair.on.figures for pair in pairs]
    seconds = ("task_seconds", "hidden_seconds", "saved_seconds", "wasted_seconds")
    return {
        "name": name,
        "off": {"task_seconds": round(mean(pair.off.figures.task_seconds for pair in pairs), 3)},
        "on": {
            **{field: round(mean(getattr(figures, field) for figures in on), 3) for field in seconds},
            "hits": sum(figures.hits for figures in on),
            "launches": sum(figures.launches for figures in on),
        },
        "results_equal": all(pair.results_equal for pair in pairs),
    }
