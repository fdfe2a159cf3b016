"""The section `harm` as text."""

from collections.abc import Mapping
from typing import Any

from speculation.text_table import text_table


def harm_text(section: Mapping[str, Any]) -> str:
    head = (
        f"{section['pairs']} blocks, lived by each arm in drawn order, of {section['sessions_a_block']} sessions that arrive at "
        f"drawn moments (gaps of a gamma distribution of order {section['gap_order']}, seed {section['seed']}) so that real calls use {section['use']:.0%} of "
        f"{section['slots']} slots ({section['reserved']} of them never for guesses), of which a call holds one for {section['run_seconds']:.3f} s as measured in the warm-up. A session: {section['calls_a_session']} "
        f"calls of {section['tool_seconds']:g} s on average ({section['busy_share']:.0%} of it computing), "
        f"{section['model_seconds']:g} s of the model before each and after the last. all_wrong: up to three guesses a turn, "
        "none of which is ever asked for; served are only calls that the model had already written out, a moment before it "
        "ended its turn (head start: how long these had run by then, in all). Task time: from submission to end. Slots used: by real calls while sessions arrived."
    )
    rows = [
        [
            name,
            str(arm["sessions"]),
            f"{arm['mean_task_seconds']:.3f}",
            f"{arm['p95_task_seconds']:.3f}",
            "-" if arm["use_of_slots"] is None else f"{arm['use_of_slots']:.0%}",
            str(arm["guesses_run"]),
            f"{arm['guess_seconds']:.1f}",
            str(arm["calls_served_by_guesses"]),
            f"{arm['head_start_seconds']:.2f}",
        ]
        for name, arm in section["arms"].items()
    ]
    table = text_table(
        ["arm", "sessions", "mean s", "p95 s", "slots used", "guesses run", "their s", "served", "head start s"], rows
    )
    return "\n".join([head, table, *_verdict(section)])


def _verdict(section: Mapping[str, Any]) -> list[str]:
    verdict = section["verdict"]
    return [
        f"Rise of the mean task time by wrong guesses, paired by block: {percent_of(section['rise'])}.",
        f"Control, without against without: {percent_of(section['control'])}.",
        f"Upper bound {percent(verdict['upper_bound'])}, allowed {percent(verdict['allowed'])} (1 % and half the control's "
        f"width); the control is {'narrow enough' if verdict['control_is_narrow_enough'] else 'NOT under 2 % wide'}: "
        f"{'holds' if verdict['holds'] else 'DOES NOT HOLD'}.",
    ]


def percent_of(interval: Mapping[str, Any]) -> str:
    return (
        f"{percent(interval['mean'])} (95 % interval {percent(interval['low'])} to {percent(interval['high'])}, "
        f"of {interval['count']})"
    )


def percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:+.2%}"
