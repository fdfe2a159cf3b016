"""What a job is made of, and why a speculative one is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speculation.models import ToolRecord
from tools.base import SideEffect


@dataclass(frozen=True)
class JobSpec:
    """What a new job is made of, whoever asks for it."""

    tool: ToolRecord
    pool_id: str
    arguments: Mapping[str, Any]
    fingerprint: str
    effect: SideEffect
    expected_seconds: float = 1.0
    timeout_seconds: float = 60.0
    ttl_seconds: float = 60.0


@dataclass(frozen=True)
class Guess:
    """Why a speculation is made."""

    pattern_id: int | None
    probability: float
    utility: float
    policy_version: int
    start_within_seconds: float
    sources: Mapping[str, str]
