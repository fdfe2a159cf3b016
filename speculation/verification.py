"""Does a served guess tell what a run at the moment of the call would have told? A share of them is run again.

The second run is a job of its own that answers nobody (`verifies`), on slack, in the same epoch; its result is compared
after what the tool declares volatile is left out. Pure; the scheduler makes the job, the worker judges its result.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tools.base import ToolResult, without_volatile


def draw_of(job_id: UUID) -> float:
    """In [0, 1), the same wherever it is asked for."""
    return int.from_bytes(hashlib.sha256(job_id.bytes).digest()[:6]) / 2**48


def fingerprint_of_check(job_id: UUID) -> str:
    """Of the run that checks this job: equal to no call's, so that it can serve none."""
    return hashlib.sha256(f"check {job_id}".encode()).hexdigest()


def difference(served: ToolResult, again: ToolResult, volatile: frozenset[str]) -> str:
    """Where the two first differ, as a path without values ("structured.items.2.price"); empty if they are the same."""
    if served.ok != again.ok:
        return "ok"
    if served.structured is None and again.structured is None:
        return "" if (served.content, served.blocks) == (again.content, again.blocks) else "content"
    return _first_difference(
        without_volatile(served.structured, volatile), without_volatile(again.structured, volatile), "structured"
    )


def _first_difference(one: Any, other: Any, path: str) -> str:
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        pairs = ((f"{path}.{key}", one[key], other[key]) for key in one)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = ((f"{path}.{index}", *both) for index, both in enumerate(zip(one, other, strict=True)))
    else:
        return "" if one == other else path
    return next((found for name, a, b in pairs if (found := _first_difference(a, b, name))), "")
