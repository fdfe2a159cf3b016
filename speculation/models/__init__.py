"""Tables only, no rules. The rules live in jobs.py, events.py, scheduler.py and policy.py."""

from speculation.models.access import ApiKey, AuditEntry, IdempotencyRecord
from speculation.models.jobs import JobStatus, ToolJob, WorkerPool
from speculation.models.patterns import PatternRecord
from speculation.models.policy import Approval, ApprovalLevel, ToolRecord
from speculation.models.sessions import (
    AgentProfile,
    Arm,
    EventRecord,
    ModelKind,
    Origin,
    Session,
    SessionStatus,
    SpeculationMode,
)

__all__ = [
    "AgentProfile",
    "ApiKey",
    "Approval",
    "ApprovalLevel",
    "Arm",
    "AuditEntry",
    "EventRecord",
    "IdempotencyRecord",
    "JobStatus",
    "ModelKind",
    "Origin",
    "PatternRecord",
    "Session",
    "SessionStatus",
    "SpeculationMode",
    "ToolJob",
    "ToolRecord",
    "WorkerPool",
]
