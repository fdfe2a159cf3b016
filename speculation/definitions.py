"""What a tool's definition said when its hash was this one: kept with each decision, and with each change in the audit."""

from collections.abc import Mapping
from typing import Any

from speculation.models import Approval, AuditEntry, ToolRecord

Definition = Mapping[str, Any]


def definition_of(tool: ToolRecord, definition_hash: str) -> Definition | None:
    """None where it was not kept: decisions and changes from before the text was kept have the hash alone."""
    if definition_hash == tool.definition_hash:
        return tool.definition
    decided = Approval.objects.filter(tool=tool, definition_hash=definition_hash, definition__isnull=False)
    if (kept := decided.values_list("definition", flat=True).first()) is not None:
        return kept
    changes = AuditEntry.objects.filter(what=f"definition changed: {tool}", before__definition_hash=definition_hash)
    return changes.values_list("before__definition", flat=True).first()
