"""Texts of statements, composed once for each shape: which columns, how they are compared, what is not a plain value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.expressions import Expression
from django.db.models.sql import UpdateQuery

PLAIN = (str, int, float, UUID)
"""Types whose values the driver takes as they are. A bool is none: Django writes conditions of it out."""
MOST_SHAPES = 512


@dataclass(frozen=True)
class Place:
    """Stands for the value that comes at this place."""

    number: int


class _Placed(Expression):
    """Compiles to a parameter whose value comes later."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Place]]:
        return "%s", [Place(self.number)]


@dataclass(frozen=True)
class Statement:
    """A composed text; `parameters` with a Place wherever a value is to come. No text: it can never find a row."""

    sql: str
    parameters: Sequence[Any] = ()

    def filled(self, values: Sequence[Any]) -> list[Any]:
        return [values[each.number] if isinstance(each, Place) else each for each in self.parameters]


_composed: dict[Any, Statement] = {}


def update_of(row: models.Model, conditions: Sequence[models.Q], fields: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The text and the parameters of an update of the row. No text: the conditions can never hold."""
    values: list[Any] = []
    shape: list[Any] = [type(row)]
    where = [_taken_apart(condition, values, shape) for condition in (models.Q(pk=row.pk), *conditions)]
    changed = {name: _placed(name, _prepared(row, name, value), values, shape) for name, value in fields.items()}
    statement = _statement(tuple(shape), lambda: _compose_update(type(row), where, changed))
    return statement.sql, statement.filled(values)


def select_of(compose: Callable[..., models.QuerySet[Any, Any]], values: Sequence[Any]) -> tuple[str, list[Any]]:
    """The text and the parameters of a query: `compose` is given a stand-in for each value."""
    statement = _statement((compose, len(values)), lambda: _compose_select(compose, len(values)))
    return statement.sql, statement.filled(values)


def _statement(shape: Any, compose: Callable[[], Statement]) -> Statement:
    found = _composed.get(shape)
    if found is None:
        found = compose()
        if len(_composed) < MOST_SHAPES:  # a shape that holds a changing value would fill the memory
            _composed[shape] = found
    return found


def _compose_update(model: type[models.Model], where: Sequence[models.Q], changed: Mapping[str, Any]) -> Statement:
    query = model._default_manager.filter(*where).query.chain(UpdateQuery)
    query.add_update_values(changed)
    try:
        sql, parameters = query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    except EmptyResultSet:  # Django sees that the condition can never hold
        return Statement("")
    return Statement(sql, parameters)


def _compose_select(compose: Callable[..., models.QuerySet[Any, Any]], count: int) -> Statement:
    query = compose(*(_Placed(number) for number in range(count))).query
    return Statement(*query.get_compiler(DEFAULT_DB_ALIAS).as_sql())


def _taken_apart(condition: models.Q, values: list[Any], shape: list[Any]) -> models.Q:
    """The same condition with places for its plain values, which go to `values`; all else goes into the shape."""
    shape.append((condition.connector, condition.negated, len(condition.children)))
    children = [
        _taken_apart(child, values, shape)
        if isinstance(child, models.Q)
        else (child[0], _placed(child[0], child[1], values, shape))
        for child in condition.children
    ]
    return models.Q(*children, _connector=condition.connector, _negated=condition.negated)


def _placed(name: str, value: Any, values: list[Any], shape: list[Any]) -> Any:
    if isinstance(value, _Prepared):
        value = value.value
    elif not isinstance(value, PLAIN) or isinstance(value, bool):
        shape.append((name, repr(value)))
        return value
    shape.append((name, type(value)))
    values.append(str(value) if isinstance(value, str) else value)  # of an enumeration's member: its value
    return _Placed(len(values) - 1)


@dataclass(frozen=True)
class _Prepared:
    """A value as the driver takes it, which Django must not see: JSON."""

    value: Any


def _prepared(row: models.Model, name: str, value: Any) -> Any:
    field = row._meta.get_field(name)
    if isinstance(field, models.JSONField) and value is not None and not hasattr(value, "resolve_expression"):
        return _Prepared(field.get_db_prep_save(value, connection))
    return value
