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

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import DatabaseDefault

from speculation.composed import MOST_SHAPES, PLAIN, select_of, update_of

Row = TypeVar("Row", bound=models.Model)


def update(row: models.Model, *conditions: models.Q, fields: Mapping[str, Any]) -> bool:
    """Update the row where all conditions hold; True if it did, and then `row` is as the database has it now."""
    sql, parameters = update_of(row, conditions, fields)
    return bool(sql) and _read_back(row, f"{sql} RETURNING {columns(type(row))}", parameters)


def update_beside(
    source: str, row: models.Model, *conditions: models.Q, fields: Mapping[str, Any]
) -> tuple[str, list[Any]]:
    """The text and the parameters that do so where `source`, a condition as text, holds as well: part of a larger statement.

    The conditions are none that can never hold.
    """
    sql, parameters = update_of(row, conditions, fields)
    assert sql
    return f"{sql} AND {source}", parameters


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
    with cursor() as asking:
        asking.execute(*select_of(compose, values))
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


def read_together(kinds: Sequence[type[models.Model]], sql: str, parameters: Sequence[Any]) -> list[list[Any]]:
    """For each row one of each kind: the statement gives all columns of the first, then of the next, as `columns` does."""
    with cursor() as asking:
        asking.execute(sql, parameters)
        parts = list(zip(kinds, _side_by_side(tuple(kinds)), strict=True))
        return [
            [model.from_db(DEFAULT_DB_ALIAS, part.names, part.values(row)) for model, part in parts]
            for row in asking.fetchall()
        ]


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
def columns(model: type[models.Model], alias: str = "") -> str:
    """A model's columns as a statement names them; `alias`: what it calls the table."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f'{prefix}"{field.column}"' for field in model._meta.concrete_fields)


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


@cache
def _side_by_side(kinds: tuple[type[models.Model], ...]) -> Sequence[_Columns]:
    found: list[_Columns] = []
    before = 0
    for model in kinds:
        names = [field.column for field in model._meta.concrete_fields]
        found.append(_columns(model, ("",) * before + tuple(names)))
        before += len(names)
    return found


def _read_back(row: models.Model, sql: str, parameters: Sequence[Any]) -> bool:
    found = read(type(row), sql, parameters)
    for fresh in found:
        for column in row._meta.concrete_fields:
            setattr(row, column.attname, getattr(fresh, column.attname))
    return bool(found)
