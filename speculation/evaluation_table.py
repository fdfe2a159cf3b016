"""The evaluation's document as text for a terminal. Rates always stand beside what they are rates of."""

from collections.abc import Mapping
from typing import Any

from speculation.text_table import Row, text_table

MOST_TOOLS, MOST_REASONS = 12, 12


def as_text(document: Mapping[str, Any]) -> str:
    """Accuracy of all sources first, then each source's replay, tools, losses and reasons, then costs."""
    sources: Mapping[str, Mapping[str, Any]] = document["sources"]
    parts = [
        text_table(
            ["source", "sessions", "turns", *_RATES, "any@3", "calibration", "Brier skill", "of turns"],
            map(_rates, sources, sources.values()),
        ),
        "Read-only calls",
        text_table(["source", "turns", *_RATES], [[name, *_tally(each["read_only"])] for name, each in sources.items()]),
        *[part for name, each in sources.items() for part in _source(name, each, document)],
        _costs(document),
    ]
    return "\n\n".join(parts)


_RATES = ("name@1", "hit@1", "hit@3", "hit@5")


def _rates(name: str, each: Mapping[str, Any]) -> Row:
    skill = "–" if each["brier_skill"] is None else f"{each['brier_skill']:.3f}"
    calibration = f"{each['calibration_error']:.3f}"
    return [
        name,
        str(each["sessions"]),
        *_tally(each),
        f"{each['any@3']:.3f}",
        calibration,
        skill,
        str(each["model_turns"]),
    ]


def _tally(each: Mapping[str, Any]) -> Row:
    return [str(each["turns"]), *[f"{each[rate]:.3f}" if each["turns"] else "–" for rate in _RATES]]


def _source(name: str, each: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    split = ", half of the tasks each, drawn by the seed" if each["is_split_by_task"] else ""
    head = (
        f"{name}: trained on {each['trained_sessions']} sessions, tested on {each['sessions']}{split}; "
        f"{each['left_out_sessions']} left out since their task was trained on; {each['patterns']} patterns"
    )
    tools = list(each["per_tool"].items())
    more = f"\n… and {len(tools) - MOST_TOOLS} more tools" if len(tools) > MOST_TOOLS else ""
    parts = [
        head,
        text_table(["replay", *_ARM], [[arm, *_arm(row)] for arm, row in each["replay"].items()])
        + f"\nTool times {document['tool_times']}; seconds of all {each['sessions']} sessions; {each['replay']['serial']['reads']} reads.",
        text_table(["tool", "turns", *_RATES], [[tool, *_tally(row)] for tool, row in tools[:MOST_TOOLS]]) + more,
        _losses(each),
        text_table(
            ["reason", "times"],
            [[reason, str(count)] for reason, count in list(each["reasons"].items())[:MOST_REASONS]],
        ),
    ]
    if "evidence" in each:
        parts.append(text_table(["evidence", *_ARM, "removed"], [_evidence(*row) for row in each["evidence"].items()]))
    if "ablations" in each:
        parts.append(
            text_table(
                ["ablation", "turns", *_RATES, "exposed", "hits", "a hit"],
                [_ablation(*row) for row in each["ablations"].items()],
            )
        )
    return [part for part in parts if part]


_ARM = ("exposed s", "", "task s", "hits", "launches", "a hit", "wasted s", "covered")


def _arm(row: Mapping[str, Any]) -> Row:
    return arm_cells(row, f"{-100 * row['reduction']:+.1f} %" if row["reduction"] else "0 %")


def arm_cells(row: Mapping[str, Any], relative: str) -> Row:
    """An arm of the replay as cells. `relative`: its exposed seconds beside those of the serial arm, in the reader's words."""
    return [
        f"{row['exposed_tool_seconds']:.1f}",
        relative,
        f"{row['task_seconds']:.1f}",
        str(row["hits"]),
        str(row["launches"]),
        f"{row['launches_per_hit']:.2f}" if row["hits"] else "–",
        f"{row['wasted_seconds']:.1f}",
        f"{row['covered']:.3f}",
    ]


def _evidence(name: str, row: Mapping[str, Any]) -> Row:
    return [name, *_arm(row), f"{row['removed']:.3f}"]


def _ablation(name: str, row: Mapping[str, Any]) -> Row:
    _, exposed, _, hits, _, a_hit, *_ = _arm(row["replay"])
    return [name, *_tally(row), exposed, hits, a_hit]


def _losses(each: Mapping[str, Any]) -> str:
    every, reads = each["losses"]["all"], each["losses"]["read_only"]
    rows = [
        [reason, str(count), f"{count / each['turns']:.3f}", str(reads.get(reason, 0))]
        for reason, count in every.items()
    ]
    return text_table(["missed at 3", "turns", f"of {each['turns']}", "read-only"], rows) if every["missed"] else ""


def _costs(document: Mapping[str, Any]) -> str:
    predict, mining = document["predict_seconds"], document["mining"]
    pace = f" ({mining['events'] / mining['seconds']:,.0f} a second)" if mining["seconds"] else ""
    return (
        f"predict: p50 {1000 * predict['p50']:.2f} ms, p99 {1000 * predict['p99']:.2f} ms of {predict['count']} predictions; "
        f"mining: {mining['events']} events in {mining['seconds']:.2f} s{pace}; seed {document['seed']}"
    )
