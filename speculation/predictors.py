"""Predictors out of the patterns' rows and nothing else: one an agent and process, which looks for newer rows at most once a second."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Sum

from speculation.engine.prediction import Predictor
from speculation.engine.types import ToolTraits
from speculation.learning import as_decided
from speculation.models import AgentProfile, PatternRecord

LOOK_EVERY_SECONDS = 1.0


@dataclass
class _Kept:
    predictor: Predictor
    ids: Mapping[str, int]
    stamp: Any
    looked_at: float


class Predictors:
    """One predictor an agent and process, rebuilt when a row of its patterns or a tool's traits changed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[int, _Kept] = {}
        self._building: dict[int, threading.Lock] = {}

    def predictor_for(self, agent: AgentProfile, traits: Mapping[str, ToolTraits]) -> Predictor:
        """The predictor of the agent's present patterns, at most LOOK_EVERY_SECONDS old."""
        return self._fresh(agent.pk, traits).predictor

    def look_again(self, agent_id: int) -> None:
        """The next who asks for the agent's predictor gets it as of then."""
        if (kept := self._kept.get(agent_id)) is not None:
            kept.looked_at = -math.inf

    def ids(self, agent_id: int) -> Mapping[str, int]:
        """Pattern.key to the id of its row, as of the agent's last predictor."""
        kept = self._kept.get(agent_id)
        return kept.ids if kept else {}

    def _fresh(self, agent_id: int, traits: Mapping[str, ToolTraits]) -> _Kept:
        with self._building.setdefault(agent_id, threading.Lock()):
            kept = self._kept.get(agent_id)
            if kept is not None and self._is_good(kept, agent_id, traits):
                return kept
            stamp, looked_at = _stamp(agent_id), self._clock()
            rows = list(PatternRecord.objects.filter(agent_id=agent_id))
            patterns = [as_decided(row) for row in rows]
            ids = {pattern.key: row.pk for pattern, row in zip(patterns, rows, strict=True)}
            self._kept[agent_id] = kept = _Kept(Predictor(patterns, traits), ids, stamp, looked_at)
            return kept

    def _is_good(self, kept: _Kept, agent_id: int, traits: Mapping[str, ToolTraits]) -> bool:
        if _lasting(kept.predictor.tools) != _lasting(traits):
            return False
        if self._clock() - kept.looked_at < LOOK_EVERY_SECONDS:
            return True
        kept.looked_at = self._clock()
        return bool(kept.stamp == _stamp(agent_id))


def _lasting(traits: Mapping[str, ToolTraits]) -> dict[str, tuple[Any, ...]]:
    """What of the traits a predictor depends on: not the durations, which are measured anew all the time."""
    return {
        name: (one.reads_only, one.changes_world, one.cosmetic_arguments, one.covers, one.shell_argument)
        for name, one in traits.items()
    }


def _stamp(agent_id: int) -> dict[str, Any]:
    """Differs whenever a row was mined, decided about, added or removed."""
    return PatternRecord.objects.filter(agent_id=agent_id).aggregate(
        rows=Count("pk"), versions=Sum("version"), mined_at=Max("updated_at"), decided_at=Max("overridden_at")
    )


predictors = Predictors()


def pattern_ids(agent_id: int, keys: Iterable[str]) -> dict[str, int]:
    """The ids of the rows behind these pattern keys, as far as the agent's present predictor knows them."""
    known = predictors.ids(agent_id)
    return {key: known[key] for key in keys if key in known}
