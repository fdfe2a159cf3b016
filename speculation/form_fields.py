"""Fields that forms of the pages and of the admin share."""

import json
from typing import Any

from django import forms

from speculation.storable import unstorable


class StorableJSONField(forms.JSONField):
    """JSON that PostgreSQL can hold. What was typed comes back as typed; nothing is an empty field, not the word null."""

    def validate(self, value: Any) -> None:
        super().validate(value)
        if why := unstorable(value):
            raise forms.ValidationError(f"It {why}.")

    def prepare_value(self, value: Any) -> Any:
        if value is None:
            return ""
        if unstorable(value):  # a page cannot hold half a pair either: written out
            return json.dumps(value)
        return super().prepare_value(value)
