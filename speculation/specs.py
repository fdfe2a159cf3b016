"""What a job is made of, and why a speculative one is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speculation.models import ToolRecord
from tools.base import SideEffect

START_WITHIN_SECONDS = 5.0
"""A speculation that found no worker by then has lost most of its head start: it is dropped."""
NOT_STARTED_IN_TIME = "not started in time"
"""Why it was dropped then."""


@dataclass(frozen=True)
class JobSpec:
    """What a new job is made of, whoever asks for it.

    `pool_id`: whose slot it takes; None for a call that its session's own worker runs in place. `scope`: the state
    that it shares with other sessions; empty where it knows only its session's own world. `max_parallel`: calls of the
    tool that the other side bears at once. `warmed_by`: the fingerprint of the warm-up for this call, empty without one.
    `transformed`: it is such a warm-up itself.
    """

    tool: ToolRecord
    pool_id: str | None
    arguments: Mapping[str, Any]
    fingerprint: str
    effect: SideEffect
    expected_seconds: float = 1.0
    timeout_seconds: float = 60.0
    ttl_seconds: float = 60.0
    scope: str = ""
    max_parallel: int = 4
    warmed_by: str = ""
    transformed: bool = False


@dataclass(frozen=True)
class Guess:
    """Why a speculation is made."""

    pattern_id: int | None
    probability: float
    utility: float
    policy_version: int
    start_within_seconds: float
    sources: Mapping[str, str]
