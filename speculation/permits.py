"""What a session's guesses may do now: the decisions about its tools, read again whenever one moved."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db.models import Exists, QuerySet, Value
from django.db.models.functions import Now

from speculation import rows
from speculation.breakers_open import first_against, open_now, refusal
from speculation.effects import reaches_outside
from speculation.exchanged import NOTHING_NEW, Exchanged
from speculation.models import Approval, ApprovalLevel, Arm, BreakerOpening, Session, ToolRecord
from speculation.processors import cost_of
from speculation.slack import Capacity
from speculation.specs import START_WITHIN_SECONDS, JobSpec
from speculation.toolbox import BoxedTool, Toolbox
from speculation.verdicts import Verdict, is_speculable, newest_approval

_TOOLS = f"SELECT {rows.columns(ToolRecord)} FROM speculation_toolrecord WHERE id = ANY(%s)"
NO_WARM_UP = "no warm-up for these arguments"
NOTHING_RUNS_EARLY = ": nothing runs early"
"""Of an arm that only predicts, in which a decision would let the call run."""


def canary_draw(session: Session) -> float:
    """A number in [0, 1), the same for a session's whole life, on whatever worker it runs."""
    return int.from_bytes(hashlib.sha256(session.pk.bytes).digest()[:6]) / 2**48


def _at_present(session: Value) -> QuerySet[Session, tuple[Any, ...]]:
    return Session.objects.filter(pk=session).values_list("epoch", Now(), Exists(open_now()))


class Permits:
    """The newest decision on each tool of the box, and the check of one call against it."""

    def __init__(self, session: Session, toolbox: Toolbox) -> None:
        self._session, self._toolbox = session, toolbox
        self._approvals: dict[int, Approval | None] = {}
        self._draw = canary_draw(session)
        self._openings: list[BreakerOpening] = []
        self.exchanged = Exchanged()
        self._now = datetime.max.replace(tzinfo=UTC)
        """The database's clock at the last refresh; before that, all has expired."""

    def refresh(self) -> int:
        """Read what moved since the last time. Returns the session's epoch as of now."""
        known = {box.record.pk: box for box in self._toolbox.values()}
        for record in rows.read(ToolRecord, _TOOLS, [list(known)]):
            box = known[record.pk]
            if record.pk not in self._approvals or record.policy_version != box.record.policy_version:
                self._approvals[record.pk] = newest_approval(record, self._session.agent)
            self._toolbox[record.name] = replace(box, record=record)
        [(epoch, self._now, is_any_open)] = rows.select(_at_present, self._session.pk)
        self._openings = list(open_now()) if is_any_open else []
        return int(epoch)

    def verdict_on(self, spec: JobSpec) -> Verdict:
        """May this run before it is asked for, or its warm-up, and if not, the first reason against."""
        verdict = is_speculable(
            spec.tool,
            self._approvals.get(spec.tool.pk),
            effect=spec.effect,
            arguments=spec.arguments,
            pool=None,  # whether speculation is paused is looked up under the pool's lock, at admission
            canary_draw=self._draw,
            now=self._now,
            broken=refusal(first_against(self._openings, spec.tool.pk, self._session.agent_id)),
        )
        if verdict.allowed and self._session.arm != Arm.ON:
            return replace(verdict, allowed=False, reason=f"{self._session.arm}{NOTHING_RUNS_EARLY}")
        return verdict

    def only_warms(self, record: ToolRecord) -> bool:
        """True if the decision about the tool is about its warm-up alone, as of the last refresh; the first is made here."""
        if record.pk not in self._approvals:
            self.refresh()
        approval = self._approvals.get(record.pk)
        return approval is not None and approval.level == ApprovalLevel.TRANSFORMED

    def early(self, box: BoxedTool, spec: JobSpec) -> JobSpec | str:
        """What may run before the call is asked for, itself or its warm-up, or the first reason against both."""
        verdict = self.verdict_on(spec)
        if not verdict.allowed:
            return verdict.reason
        early = box.warm_up_of(spec.arguments) if verdict.only_warms else spec
        if early is None:
            return NO_WARM_UP
        return self._against_telling(early) or self._limited(early)

    def _against_telling(self, spec: JobSpec) -> str:
        """What leaves this installation early is nothing new to whom it goes to, unless the decision says so."""
        approval = self._approvals.get(spec.tool.pk)
        if not reaches_outside(spec.tool) or (approval is not None and approval.may_tell_new_values):
            return ""
        return "" if self.exchanged.knows(spec.tool.server, spec.arguments) else NOTHING_NEW

    def _limited(self, spec: JobSpec) -> JobSpec:
        """The job with the lifetime that the decision allows its result."""
        approval = self._approvals.get(spec.tool.pk)
        if approval is None:
            return spec
        allowed = spec.ttl_seconds if approval.ttl_seconds is None else approval.ttl_seconds
        if approval.expires_at is not None:
            # nothing is served that the decision does not outlive, however late it starts
            allowed = min(allowed, (approval.expires_at - self._now).total_seconds() - START_WITHIN_SECONDS)
        return replace(spec, ttl_seconds=max(0.0, min(spec.ttl_seconds, allowed)))

    def capacity(self, box: BoxedTool) -> Capacity:
        """How many calls of the tool may run at once, and how fast one after the other."""
        approval, policy = self._approvals.get(box.record.pk), box.tool.policy
        limit = approval.max_parallel if approval else None
        most = min(policy.max_parallel, limit + policy.reserved) if limit else policy.max_parallel
        return Capacity(most, policy.min_interval_seconds, policy.reserved, cost_of(box.record.processors))
