"""Tables only, no rules. The rules live in jobs.py, events.py, scheduler.py and policy.py."""

from speculation.models.access import ApiKey, AuditEntry, IdempotencyRecord
from speculation.models.alerts import AlertMetric, AlertSide, AlertThreshold
from speculation.models.breakers import Breaker, BreakerKind, BreakerOpening, BreakerScope, ToolQuota
from speculation.models.endpoints import ModelEndpoint, ModelSeat
from speculation.models.jobs import JobStatus, ResourceScope, ToolJob, WorkerPool
from speculation.models.ledger import SessionFigures, ToolFigures
from speculation.models.patterns import PatternEdit, PatternRecord
from speculation.models.policy import Approval, ApprovalLevel, ToolRecord
from speculation.models.remote import RemoteCall
from speculation.models.servers import ToolServer
from speculation.models.sessions import (
    TAKE_NO_TASKS,
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
    "TAKE_NO_TASKS",
    "AgentProfile",
    "AlertMetric",
    "AlertSide",
    "AlertThreshold",
    "ApiKey",
    "Approval",
    "ApprovalLevel",
    "Arm",
    "AuditEntry",
    "Breaker",
    "BreakerKind",
    "BreakerOpening",
    "BreakerScope",
    "EventRecord",
    "IdempotencyRecord",
    "JobStatus",
    "ModelEndpoint",
    "ModelKind",
    "ModelSeat",
    "Origin",
    "PatternEdit",
    "PatternRecord",
    "RemoteCall",
    "ResourceScope",
    "Session",
    "SessionFigures",
    "SessionStatus",
    "SpeculationMode",
    "ToolFigures",
    "ToolJob",
    "ToolQuota",
    "ToolRecord",
    "ToolServer",
    "WorkerPool",
]
