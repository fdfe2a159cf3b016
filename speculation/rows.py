"""Rows asked for, written or moved, each in one round trip, by statements that are composed once.

Django composes a statement anew for each use, about half a millisecond that somebody's call waits for. A statement's text
depends only on its shape: which columns it names, how they are compared, and what is not a plain value (`Now()`, lists,
None). So texts are kept by their shape, with places for the plain values.

The server binds the values, not the driver, as Django has it: what is asked again is prepared, and neither written out nor
planned anew. Texts name their columns, since what is prepared must not find others after a migration.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import DatabaseDefault, Expression
from django.db.models.sql import UpdateQuery

PLAIN = (str, int, float, UUID)
"""Types whose values the driver takes as they are. A bool is none: Django writes conditions of it out."""
MOST_SHAPES = 512
Row = TypeVar("Row", bound=models.Model)


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


def update(row: models.Model, *conditions: models.Q, fields: Mapping[str, Any]) -> bool:
    """Update the row where all conditions hold; True if it did, and then `row` is as the database has it now."""
    values: list[Any] = []
    shape: list[Any] = [type(row)]
    where = [_taken_apart(condition, values, shape) for condition in (models.Q(pk=row.pk), *conditions)]
    changed = {name: _placed(name, _prepared(row, name, value), values, shape) for name, value in fields.items()}
    statement = _statement(tuple(shape), lambda: _compose_update(type(row), where, changed))
    return bool(statement.sql) and _read_back(row, statement.sql, statement.filled(values))


Computed = Mapping[str, tuple[str, Sequence[Any]]]
"""Columns that the database works out, each by its text and parameters."""


def insert(row: models.Model, computed: Computed) -> None:
    """Insert a new row; what the database works out is read back. Raises IntegrityError."""
    form, parameters = _form_of(row, computed)
    sql, worked_out = _insertion(type(row), form)
    with cursor() as asking:
        asking.execute(sql, parameters)
        stored = asking.fetchone()
    for name, value in zip(worked_out, stored, strict=True):
        setattr(row, name, value)
    row._state.adding = False
    row._state.db = DEFAULT_DB_ALIAS


def insertion_from(source: str, row: models.Model, computed: Computed) -> tuple[str, list[Any]]:
    """The text and the parameters that insert the row for each row of `source`, as a part of a larger statement."""
    form, parameters = _form_of(row, computed)
    return _insertion_from(source, type(row), form), parameters


Form = tuple[tuple[str, str], ...]
"""A row's fields, each with the text of its value."""


def _form_of(row: models.Model, computed: Computed) -> tuple[Form, list[Any]]:
    form: list[tuple[str, str]] = []
    parameters: list[Any] = []
    for field in row._meta.concrete_fields:
        if field.attname in computed:
            text, given = computed[field.attname]
            parameters.extend(given)
        elif isinstance(value := getattr(row, field.attname), DatabaseDefault):
            text = "DEFAULT"
        else:
            text = "%s"
            parameters.append(_as_stored(field, value))
        form.append((field.attname, text))
    return tuple(form), parameters


def _as_stored(field: "models.Field[Any, Any]", value: Any) -> Any:
    """Django asks each field; what the driver takes as it is needs no asking."""
    is_plain = value is None or type(value) in PLAIN or isinstance(value, bool)
    return value if is_plain and not isinstance(field, models.JSONField) else field.get_db_prep_save(value, connection)


@lru_cache(MOST_SHAPES)
def _insertion(model: type[models.Model], form: Form) -> tuple[str, Sequence[str]]:
    """The statement, and the fields whose values it gives back."""
    worked_out = [name for name, text in form if text != "%s"]
    back = ", ".join(map(_column_of(model), worked_out))
    values = ", ".join(text for _, text in form)
    return f"{_into(model, form)} VALUES ({values}) RETURNING {back}", worked_out


@lru_cache(MOST_SHAPES)
def _insertion_from(source: str, model: type[models.Model], form: Form) -> str:
    given = [(name, text) for name, text in form if text != "DEFAULT"]
    return f"{_into(model, given)} SELECT {', '.join(text for _, text in given)} FROM {source}"


def _into(model: type[models.Model], form: Sequence[tuple[str, str]]) -> str:
    column_of = _column_of(model)
    return f'INSERT INTO "{model._meta.db_table}" ({", ".join(column_of(name) for name, _ in form)})'


def _column_of(model: type[models.Model]) -> Callable[[str], str]:
    return {field.attname: f'"{field.column}"' for field in model._meta.concrete_fields}.__getitem__


def select(compose: Callable[..., models.QuerySet[Any, Any]], *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a `values_list` whose text is composed once: `compose` is a function of a module, given a stand-in for
    each value, to be compared with a column.
    """
    statement = _statement((compose, len(values)), lambda: _compose_select(compose, len(values)))
    with cursor() as asking:
        asking.execute(statement.sql, statement.filled(values))
        return list(asking.fetchall())


def read(model: type[Row], sql: str, parameters: Sequence[Any]) -> list[Row]:
    """The rows that a statement gives; columns that the model has not are left out.

    What `Manager.raw` does, which looks up anew each time which column is which field and how it is converted.
    """
    with cursor() as asking:
        asking.execute(sql, parameters)
        found = _columns_of.get((model, sql))
        if found is None:
            found = _columns(model, tuple(column.name for column in asking.description))
            if len(_columns_of) < MOST_SHAPES:
                _columns_of[model, sql] = found
        return [model.from_db(DEFAULT_DB_ALIAS, found.names, found.values(row)) for row in asking.fetchall()]


def get(model: type[Row], key: Any) -> Row:
    """The row with this primary key. Raises DoesNotExist."""
    for row in read(model, _one(model), [key]):
        return row
    raise model.DoesNotExist(f"{model.__name__} {key} is gone.")  # type: ignore[attr-defined]


def refresh(row: models.Model) -> None:
    """The row as the database has it now; rows that it points to stay as they were read. Raises DoesNotExist."""
    if not _read_back(row, _one(type(row)), [row.pk]):
        raise type(row).DoesNotExist(f"{type(row).__name__} {row.pk} is gone.")  # type: ignore[attr-defined]


@cache
def _one(model: type[models.Model]) -> str:
    assert model._meta.pk is not None
    return f'SELECT {columns(model)} FROM "{model._meta.db_table}" WHERE "{model._meta.pk.column}" = %s'


def cursor() -> CursorWrapper:
    """Where the server binds the values: numbers, texts, times, ids and lists of them, each where its type is plain to see."""
    connection.ensure_connection()
    wrapped: CursorWrapper = connection._prepare_cursor(psycopg.Cursor(connection.connection))
    return wrapped


@cache
def columns(model: type[models.Model]) -> str:
    """A model's columns as a statement names them."""
    return ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)


@dataclass(frozen=True)
class _Columns:
    """Which values of a row are fields of a model, and what makes Python's values of them where the driver does not."""

    names: Sequence[str]
    places: Sequence[int]
    converters: Sequence[tuple[int, Callable[..., Any], Any]]

    def values(self, row: Sequence[Any]) -> list[Any]:
        values = [row[place] for place in self.places]
        for number, convert, expression in self.converters:
            values[number] = convert(values[number], expression, connection)
        return values


_columns_of: dict[tuple[type[models.Model], str], _Columns] = {}
"""By the statement: to ask the driver what it has read costs more than to read it."""


def _columns(model: type[models.Model], names: tuple[str, ...]) -> _Columns:
    """In the order of the model's fields, as `Model.from_db` wants them."""
    fields = [field for field in model._meta.concrete_fields if field.column in names]
    converters = []
    for number, field in enumerate(fields):
        expression = field.get_col(model._meta.db_table)
        found = [*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection)]
        converters += [(number, convert, expression) for convert in found]
    return _Columns([field.attname for field in fields], [names.index(field.column) for field in fields], converters)


def _read_back(row: models.Model, sql: str, parameters: Sequence[Any]) -> bool:
    found = read(type(row), sql, parameters)
    for fresh in found:
        for column in row._meta.concrete_fields:
            setattr(row, column.attname, getattr(fresh, column.attname))
    return bool(found)


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
    return Statement(f"{sql} RETURNING {columns(model)}", parameters)


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
