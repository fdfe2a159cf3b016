"""What a run of chaos says: one document, or the same as a table."""

from collections.abc import Mapping
from typing import Any

from paste_web.chaos.faults import Fault
from paste_web.chaos.play import Played
from paste_web.chaos.promises import ERROR, RESULT, UNKNOWN

PROMISES = (
    "lost_sessions", "double_answers", "early_side_effects", "stale_results", "wrong_results", "stuck_jobs",
    "calls_without_one_ending", "open_changes", "gaps_in_logs", "unequal_states",
)  # fmt: skip
"""How often each promise was broken."""
MOST_EXAMPLES = 20


def document(played: Played, seed: int) -> dict[str, Any]:
    """Counts, all of them 0 where every promise held; `broken` is their sum, `examples` the first of them in words."""
    verdict = played.verdict
    counted = {promise: verdict.count(promise) for promise in PROMISES}
    return {
        "sessions": verdict.sessions,
        "seed": seed,
        "killed": played.killed,
        **{name: count for name, count in counted.items() if name != "unequal_states"},
        "final_state_equal": counted["unequal_states"] == 0,
        "final_states": {
            "as_serial": verdict.equal_states,
            "as_a_step_of_serial_after_a_fault_that_was_told": verdict.sessions
            - verdict.equal_states
            - counted["unequal_states"],
            "unequal": counted["unequal_states"],
        },
        "calls": {name.replace(" ", "_"): verdict.endings[name] for name in (RESULT, ERROR, UNKNOWN)},
        "sessions_told_of_a_fault": verdict.told_of_a_fault,
        **{name: verdict.counts[name] for name in ("guesses", "promoted_calls", "jobs_run_again", "sessions_resumed")},
        "faults": {fault.value: played.tally.get(fault, 0) for fault in Fault},
        "seconds": round(played.seconds, 1),
        "storm_seconds": round(played.storm_seconds, 1),
        "broken": len(verdict.broken),
        "examples": [f"{one.promise}: {one.session}: {one.what}" for one in verdict.broken[:MOST_EXAMPLES]],
    }


def as_text(told: Mapping[str, Any]) -> str:
    """A line a figure."""
    lines = [
        f"{told['sessions']} sessions, seed {told['seed']}, {told['seconds']:.0f} s, of which storm {told['storm_seconds']:.0f} s",
        *(f"  {count:>5}  {fault}" for fault, count in told["faults"].items()),
        "promises broken",
        *(f"  {told[name]:>5}  {name.replace('_', ' ')}" for name in PROMISES if name != "unequal_states"),
        f"  {told['final_states']['unequal']:>5}  final states unlike serial execution",
        "what happened",
        *(f"  {count:>5}  calls ended in: {name.replace('_', ' ')}" for name, count in told["calls"].items()),
    ]
    for name in ("sessions_told_of_a_fault", "guesses", "promoted_calls", "jobs_run_again", "sessions_resumed"):
        lines.append(f"  {told[name]:>5}  {name.replace('_', ' ')}")
    return "\n".join([*lines, *told["examples"]])
