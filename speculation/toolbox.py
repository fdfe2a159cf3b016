"""What one session's agent may use: each tool's record, its code, and what a call of it becomes as a job."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from speculation.agent.types import ToolSpec
from speculation.asked import Part
from speculation.effects import effect_of_call, effect_of_tool
from speculation.engine.types import ToolTraits
from speculation.jobs import POOL
from speculation.models import AgentProfile, ToolRecord
from speculation.specs import JobSpec
from speculation.worker import find_tool
from tools.arguments import validate
from tools.base import SideEffect, Tool, ToolCall, ToolError
from tools.canonical import canonical_json

logger = logging.getLogger(__name__)

MEASURED_FROM_RUNS = 5
"""From so many runs on, a tool's measured mean replaces the duration it declares."""


@dataclass(frozen=True)
class BoxedTool:
    """A tool as operators know it and as it runs."""

    record: ToolRecord
    tool: Tool

    @property
    def expected_seconds(self) -> float:
        return self.record.mean_seconds if self.record.runs >= MEASURED_FROM_RUNS else self.tool.policy.expected_seconds

    @property
    def runs_in_place(self) -> bool:
        """True if it takes less time than the way to a tools worker and back."""
        return self.expected_seconds < settings.PASTE_IN_PLACE_SECONDS

    def effect_of(self, arguments: Mapping[str, Any]) -> SideEffect:
        return effect_of_call(self.record, self.tool, arguments)

    def spec_of(self, arguments: Mapping[str, Any]) -> JobSpec:
        """The job that a call with these arguments would be."""
        policy = self.tool.policy
        return JobSpec(
            tool=self.record,
            pool_id=None if self.runs_in_place else POOL,
            arguments=arguments,
            fingerprint=self._fingerprint_of(arguments),
            effect=self.effect_of(arguments),
            expected_seconds=self.expected_seconds,
            timeout_seconds=policy.timeout_seconds,
            ttl_seconds=policy.ttl_seconds,
            scope=policy.scope,
            max_parallel=policy.max_parallel,
            warmed_by=self._fingerprint_of_warm_up(warming) if (warming := self._warm_up_of(arguments)) else "",
        )

    def warm_up_of(self, arguments: Mapping[str, Any]) -> JobSpec | None:
        """The job that warms up for a call with these arguments, and answers nobody; None where there is none."""
        warming = self._warm_up_of(arguments)
        if warming is None:
            return None
        return replace(
            self.spec_of(arguments),
            pool_id=POOL,
            arguments=warming,
            fingerprint=self._fingerprint_of_warm_up(warming),
            effect=SideEffect.NONE,
            expected_seconds=self.tool.policy.warm_up_seconds,
            warmed_by="",
            transformed=True,
        )

    def _warm_up_of(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Whatever a tool's own code does here, no call suffers from it."""
        if not self.tool.warms_by:
            return None
        try:
            validate(self.tool, arguments)
            return self.tool.warm_up_of(arguments)
        except ToolError:
            return None
        except Exception:
            logger.exception("%s could not say how it is warmed up for", self.tool.name)
            return None

    def _fingerprint_of_warm_up(self, warming: Mapping[str, Any]) -> str:
        """Equal to no call's, so that it can serve none."""
        return hashlib.sha256(f"warm up {self.record.name}\n{canonical_json(warming)}".encode()).hexdigest()

    @property
    def warming_traits(self) -> ToolTraits:
        """Of its warm-ups, which the engine weighs like reads that take and spare what the tool declares."""
        seconds = self.tool.policy.warm_up_seconds
        return replace(self.traits, reads_only=True, reads_call=None, expected_seconds=seconds)

    def part_of(self, arguments: Mapping[str, Any]) -> Part | None:
        """The call as a part that a whole may serve, where the tool says that it is one and how it is cut out."""
        whole = self.traits.whole_of(arguments) if self.tool.projects else None
        return None if whole is None else Part(self.tool, arguments, self._fingerprint_of(whole))

    @property
    def traits(self) -> ToolTraits:
        """What the engine may know. Whether a guess may run is decided later, call by call, by the policy."""
        policy, effect = self.tool.policy, effect_of_tool(self.record, self.tool)
        return ToolTraits(
            name=self.record.name,
            reads_only=effect in (SideEffect.NONE, SideEffect.UNKNOWN),
            changes_world=effect != SideEffect.NONE,
            expected_seconds=self.expected_seconds,
            cosmetic_arguments=policy.cosmetic_arguments,
            covers=policy.covers,
            shell_argument=policy.shell_argument,
            reads_call=self._only_reads if effect == SideEffect.UNKNOWN else None,
        )

    def _only_reads(self, arguments: Mapping[str, Any]) -> bool:
        return self.effect_of(arguments) == SideEffect.NONE

    def _fingerprint_of(self, arguments: Mapping[str, Any]) -> str:
        return ToolCall(self.record.name, arguments).fingerprint(self.tool.policy)


class Toolbox(dict[str, BoxedTool]):
    """An agent's tools by the name the model uses."""

    @classmethod
    def of(cls, agent: AgentProfile) -> "Toolbox":
        return cls.made_of(agent.tools.all())

    @classmethod
    def made_of(cls, records: Iterable[ToolRecord]) -> "Toolbox":
        return cls({record.name: BoxedTool(record, find_tool(record)) for record in records})

    def specs(self) -> list[ToolSpec]:
        """The tools as the model is told of them."""
        return [ToolSpec(box.tool.name, box.tool.description, box.tool.parameters) for box in self.values()]

    def traits(self) -> dict[str, ToolTraits]:
        return {name: box.traits for name, box in self.items()}

    def refusal(self, name: str) -> str:
        """What to tell a model that asked for a tool it does not have."""
        return f'There is no tool "{name}". You may use: {", ".join(sorted(self)) or "none"}.'
