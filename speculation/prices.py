"""What one call of a tool costs beside time: an operator's word, in the installation's one currency (`PASTE_CURRENCY`).

A price is no part of a tool's definition and permits nothing, so it leaves decisions and held results as they are: it is
the tool's from the next forecast on. A guess is admitted at the price of that moment, which stands in its log, so that
what it wasted stays what it was when the price changes later.
"""

from collections.abc import Mapping
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from speculation import locks
from speculation.models import AuditEntry, ToolRecord
from speculation.models.policy import PRICE, PRICE_TOO_HIGH
from speculation.policy import DecisionRefused
from speculation.specs import JobSpec
from speculation.terms import against_reason

CHANGED = "price changed"
"""What the audit calls it."""
_LEAST = Decimal(1).scaleb(-PRICE["decimal_places"])


def change_price(
    tool: ToolRecord, price: Decimal, *, who: str, why: str, user: AbstractBaseUser | None = None
) -> ToolRecord:
    """Store what a call of the tool costs from now on; the same price again stores nothing. Raises DecisionRefused."""
    for against in (against_price(price), against_reason(why)):
        if against:
            raise DecisionRefused(against)
    with transaction.atomic():
        held = locks.hold_tool(tool.pk)
        if held.price_per_call == price:
            return held
        before, held.price_per_call = held.price_per_call, price
        held.save(update_fields=["price_per_call"])
        AuditEntry.objects.create(
            who=who, user=user, what=f"{CHANGED}: {held}", before=_as_audited(before), after=_as_audited(price), why=why
        )
    return held


def against_price(price: Decimal) -> str:
    """Why this can be no price; empty if it can."""
    if not price.is_finite() or not 0 <= price < PRICE_TOO_HIGH:
        return f"A price is 0 or more and less than {PRICE_TOO_HIGH:,}."
    if price != price.quantize(_LEAST):
        return f"A price has at most {PRICE['decimal_places']} decimals."
    return ""


def as_text(price: Decimal) -> str:
    """Exactly, without zeros at the end, as the log and the audit keep it: `0.0025`."""
    whole = f"{price:f}"
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


def seconds_of(spec: JobSpec) -> float:
    """What one run of the job costs beside time, in seconds of an agent's waiting."""
    return float(_of_run(spec)) * settings.PASTE_SECONDS_PER_CURRENCY_UNIT


def as_logged(spec: JobSpec) -> Mapping[str, str]:
    """What a guess's `job_queued` says of its price; nothing where it is free."""
    price = _of_run(spec)
    return {"price": as_text(price)} if price else {}


def _of_run(spec: JobSpec) -> Decimal:
    """A warm-up makes no call of the tool, so none is charged."""
    return Decimal(0) if spec.transformed else spec.tool.price_per_call


def _as_audited(price: Decimal) -> dict[str, str]:
    """With the currency of the day: what the label stood for may change."""
    return {"price_per_call": as_text(price), "currency": settings.PASTE_CURRENCY}
