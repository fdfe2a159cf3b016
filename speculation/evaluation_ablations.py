"""What a predictor can go without, to see what each part of it is worth. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from speculation.engine.types import Pattern


@dataclass(frozen=True)
class Ablation:
    """What a predictor goes without: keyword arguments of its makers, or patterns rewritten before it is built."""

    miner: Mapping[str, Any] = field(default_factory=dict)
    predictor: Mapping[str, Any] = field(default_factory=dict)
    rewrite: Callable[[Pattern], Pattern] = lambda pattern: pattern
    chain_depth: int = 1
    """More than 1 adds a part instead: guesses that stand on what earlier ones found, chains of so many calls."""


def _without_statistics(*names: str) -> Callable[[Pattern], Pattern]:
    def rewrite(pattern: Pattern) -> Pattern:
        return replace(pattern, statistics={key: each for key, each in pattern.statistics.items() if key not in names})

    return rewrite


WITHOUT: dict[str, Ablation] = {
    "no calibration": Ablation(rewrite=_without_statistics("calibration", "situations")),
    "no calibration by situation": Ablation(rewrite=_without_statistics("situations")),
    "no learned choice of tools": Ablation(rewrite=_without_statistics("signs")),
    "no learned choice of values": Ablation(rewrite=_without_statistics("choices")),
    "no habits": Ablation(rewrite=_without_statistics("habits")),
    "no record of the session": Ablation(predictor={"keeps_record": False}),
    "no decay": Ablation(miner={"half_life_sessions": 1e12}, predictor={"half_life_sessions": 1e12}),
    "chains depth 2": Ablation(chain_depth=2),
    "chains depth 3": Ablation(chain_depth=3),
}
"""Parts of the engine, one line each. The kinds of source are left out one by one beside these."""

KINDS: Mapping[str, re.Pattern[str]] = {
    "constants": re.compile(r"^="),
    "latest results": re.compile(r"^[^=].*\bresult\(|^result\("),
    "earlier results": re.compile(r"^[^=].*\bresults\(|^results\("),
    "any result": re.compile(r"^[^=].*\bany\(|^any\("),
    "tokens of results": re.compile(r"^[^=].*\btext\([^()]*\)|^text\([^()]*\)"),
    "user's words": re.compile(r"^[^=].*\buser\(|^user\("),
    "model's words": re.compile(r"^[^=].*\bsaid\(|^said\("),
    "arguments": re.compile(r"^[^=].*\bargument\(|^argument\("),
    "earlier arguments": re.compile(r"^[^=].*\barguments\(|^arguments\("),
    "files worked on": re.compile(r"^[^=].*\bwork\(|^work\("),
    "iteration": re.compile(r"^(?:next|following) "),
    "choice among all of a list": re.compile(r"^each of "),
    "rank": re.compile(r"^item "),
    "composition": re.compile(r'^"|^(?:basename|dirname|first_word|last_word|number|list)\('),
    "repeated calls": re.compile(r"^again\b"),
}
"""A kind of source, and how the texts of its sources look (mapping.py, roster.py)."""


def rows_for(patterns: Iterable[Pattern]) -> dict[str, Ablation]:
    """Every row of these patterns: the fixed ones, then the kinds of source that they have."""
    sources = {c.source for pattern in patterns for counts in pattern.mapping.values() for c in counts}
    kinds = {name: kind for name, kind in KINDS.items() if any(map(kind.search, sources))}
    return {**WITHOUT, **{f"no {name}": Ablation(rewrite=_without(kind)) for name, kind in kinds.items()}}


def _without(kind: re.Pattern[str]) -> Callable[[Pattern], Pattern]:
    def rewrite(pattern: Pattern) -> Pattern:
        kept = {name: tuple(c for c in each if not kind.search(c.source)) for name, each in pattern.mapping.items()}
        return replace(pattern, mapping=kept)

    return rewrite
