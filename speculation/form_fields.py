"""Fields that forms of the pages and of the admin share."""

import json
from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput

from speculation.storable import unstorable


class StorableJSONField(forms.JSONField):
    """JSON that PostgreSQL can hold. What was typed comes back as typed; nothing is an empty field, not the word null."""

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except RecursionError as problem:
            raise forms.ValidationError("It is nested too deep.") from problem

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return InvalidJSONInput(data)

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


class JSONObjectField(StorableJSONField):
    """The same, for a JSON object; an empty field is None."""

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value is not None and not isinstance(value, dict):
            raise forms.ValidationError('It takes a JSON object, such as {"id": 7}.')
