"""How stale a pattern is: 0 fresh, 1 of no use any more, with the reasons in words. Pure; one place for the score.

Four things make a pattern stale: it is asked for less often than its whole life promised, it has not been asked for in a
long time although its agent goes on, its tool's definition has changed since anything was learned, and its mapping makes
calls that the tool's schema refuses. The score is that of the worst of them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from speculation.totals import wilson

STALE_FROM = 0.5
"""From this score on a pattern is stale."""
LEAST_RECENT_OUTCOMES = 4.0
"""Fewer recent outcomes, aged, say nothing."""
FRESH_DAYS, STALE_DAYS = 7.0, 35.0
"""Days without a promotion that count nothing, and those from which on they count all."""
DEFINITION_CHANGED = 0.75

Mapped = Mapping[str, Sequence[Sequence[Any]]]
"""Argument -> [[source, right, available], ...], best first, as a pattern's row has it."""


@dataclass(frozen=True)
class Life:
    """What is known of a pattern's use. `recent_`: aged counts; `_ever`: whole ones.

    `agent_last_at`: when its agent's latest session ended, so that an agent's holiday is not held against its patterns.
    `changed_at`: when its tool's definition changed; `learned_at`: when mining last changed the pattern.
    """

    recent_hits: float
    recent_misses: float
    hits_ever: int
    runs_ever: int
    last_promoted_at: datetime | None
    agent_last_at: datetime | None
    learned_at: datetime
    changed_at: datetime | None
    unfit: Sequence[str] = ()
    """Why its mapping fails the tool's schema."""


@dataclass(frozen=True)
class Part:
    """One thing that makes a pattern stale: how much, 0..1, and in words."""

    name: str
    score: float
    reason: str


@dataclass(frozen=True)
class Staleness:
    parts: Sequence[Part]

    @property
    def score(self) -> float:
        return max((part.score for part in self.parts), default=0.0)

    @property
    def is_stale(self) -> bool:
        return self.score >= STALE_FROM

    @property
    def reasons(self) -> list[str]:
        """The worst first; none of what counts nothing."""
        return [part.reason for part in sorted(self.parts, key=lambda part: -part.score) if part.score > 0]


def staleness(life: Life) -> Staleness:
    """All four parts, in a fixed order, those that count nothing too."""
    return Staleness((_rate(life), _age(life), _definition(life), _schema(life)))


def _rate(life: Life) -> Part:
    recent = life.recent_hits + life.recent_misses
    low, _ = wilson(life.hits_ever, life.runs_ever)
    if recent < LEAST_RECENT_OUTCOMES:
        return Part("Hit rate", 0.0, "Too few recent runs to tell.")
    rate = life.recent_hits / recent
    score = max(0.0, (low - rate) / low) if low else 0.0
    words = f"Lately {rate:.0%} of its runs were asked for; all its life says at least {low:.0%} (n {life.runs_ever})."
    return Part("Hit rate", score, words.replace("%", " %"))


def _age(life: Life) -> Part:
    if life.last_promoted_at is None or life.agent_last_at is None:
        return Part("Last promotion", 0.0, "Never promoted.")
    days = max(0.0, (life.agent_last_at - life.last_promoted_at).total_seconds() / 86_400)
    score = min(1.0, max(0.0, (days - FRESH_DAYS) / (STALE_DAYS - FRESH_DAYS)))
    return Part("Last promotion", score, f"Last promoted {days:.0f} days before the agent's latest session.")


def _definition(life: Life) -> Part:
    if life.changed_at is None or life.changed_at <= life.learned_at:
        return Part("Definition", 0.0, "Unchanged since the pattern was last learned.")
    return Part(
        "Definition",
        DEFINITION_CHANGED,
        f"The tool's definition changed on {life.changed_at:%Y-%m-%d}, after the pattern was last learned.",
    )


def _schema(life: Life) -> Part:
    if not life.unfit:
        return Part("Schema", 0.0, "The mapping fits the tool's schema.")
    return Part("Schema", 1.0, f"The mapping fails the tool's schema: {'; '.join(life.unfit)}.")


def unfit(mapping: Mapped, shapes: Mapping[str, float], definition: Mapping[str, Any]) -> list[str]:
    """Why calls made by this mapping fail the tool's schema; empty where they do not, or where nothing is declared.

    `shapes`: how often the tool was called with which arguments, names as the text of a JSON list.
    """
    schema = definition.get("parameters")
    declared = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(schema, Mapping) or not isinstance(declared, Mapping) or not declared:
        return []
    named = {argument: sources for argument, sources in sorted(mapping.items()) if argument != "*" and sources}
    is_open = bool(schema.get("additionalProperties"))
    unknown = [f"it has no argument {name}" for name in named if name not in declared and not is_open]
    refused = [
        f"{name} {sources[0][0]} is refused"
        for name, sources in named.items()
        if _is_refused(sources[0][0], declared.get(name))
    ]
    return unknown + _missing(named, shapes, schema, definition.get("annotations")) + refused


def _missing(named: Mapped, shapes: Mapping[str, float], schema: Mapping[str, Any], annotations: Any) -> list[str]:
    """Required arguments that the usual call, and the mapping, leave out."""
    if not shapes:
        return []
    usual = json.loads(max(sorted(shapes), key=lambda shape: shapes[shape]))
    told = annotations if isinstance(annotations, Mapping) else {}
    left_out = {*told.get("cosmetic_arguments", ()), *told.get("covers", ())}
    required = [name for name in schema.get("required", ()) if name not in left_out]
    return [
        f"its usual call lacks {name}, which is required"
        for name in required
        if name not in usual and name not in named
    ]


def _is_refused(source: str, schema: Any) -> bool:
    """True for a constant that the argument's own schema does not allow. Other sources have no value here."""
    if not source.startswith("=") or not isinstance(schema, Mapping | bool):
        return False
    try:
        Draft202012Validator.check_schema(schema)
        return not Draft202012Validator(schema, registry=Registry()).is_valid(json.loads(source[1:]))
    except (ValueError, SchemaError, Unresolvable, re.error):
        return False
