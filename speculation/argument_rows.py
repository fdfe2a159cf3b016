"""What a tool's page reads of its arguments: which take part in matching, by its policy, and what sessions hint of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speculation.engine.identity_hints import Hint, hints_of
from speculation.models import PatternRecord, ToolRecord

LEAST_PAIRS_SHOWN = 5
MOST_AGENTS = 5
"""Those that called the tool most."""


@dataclass(frozen=True)
class ArgumentRow:
    """One argument. `hints`: agent's name and what was seen in its sessions, only where that is worth reading."""

    name: str
    is_cosmetic: bool
    is_part: bool
    """True if a call without it may serve one with it."""
    hints: tuple[tuple[str, Hint], ...]

    @property
    def suggestions(self) -> list[tuple[str, Hint]]:
        """Where an operator should think of declaring it cosmetic: none for what the policy has settled."""
        settled = self.is_cosmetic or self.is_part
        return [] if settled else [(agent, hint) for agent, hint in self.hints if hint.is_suggested]

    @property
    def others(self) -> list[tuple[str, Hint]]:
        suggested = self.suggestions
        return [told for told in self.hints if told not in suggested]


def argument_rows(tool: ToolRecord) -> list[ArgumentRow]:
    """The arguments of the tool's schema and policy, then those that were only seen in calls."""
    annotations: Mapping[str, Any] = tool.definition.get("annotations", {})
    cosmetic, covers = annotations.get("cosmetic_arguments", []), annotations.get("covers", [])
    declared = tool.definition.get("parameters", {}).get("properties", {})
    hints = _hints(tool)
    names = dict.fromkeys([*declared, *cosmetic, *covers, *sorted(hints)])
    return [ArgumentRow(name, name in cosmetic, name in covers, tuple(hints.get(name, ()))) for name in names]


def _hints(tool: ToolRecord) -> dict[str, list[tuple[str, Hint]]]:
    """By argument; of the agents that use this very tool, not another of its name."""
    found: dict[str, list[tuple[str, Hint]]] = {}
    rows = PatternRecord.objects.filter(tool=tool.name, context=[], agent__tools=tool).order_by("-support", "agent")
    for agent, counts in rows.values_list("agent__name", "statistics__hints")[:MOST_AGENTS]:
        for hint in hints_of(counts or {}):
            told = found.setdefault(hint.argument, [])
            if hint.pairs >= LEAST_PAIRS_SHOWN:
                told.append((agent, hint))
    return found
