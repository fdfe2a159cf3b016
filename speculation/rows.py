"""One row moved and read back in one round trip: PostgreSQL's UPDATE ... RETURNING, for which Django has no word."""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.sql import UpdateQuery


def update(row: models.Model, which: "models.QuerySet[Any]", **fields: Any) -> bool:
    """Update what `which` finds, at most this one row; True if it did, and then `row` is as the database has it now."""
    query = which.query.chain(UpdateQuery)
    query.add_update_values(fields)
    try:
        sql, parameters = query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    except EmptyResultSet:  # Django sees that the condition can never hold
        return False
    found = list(type(row)._default_manager.raw(f"{sql} RETURNING *", parameters))
    for fresh in found:
        for column in row._meta.concrete_fields:
            setattr(row, column.attname, getattr(fresh, column.attname))
    return bool(found)
