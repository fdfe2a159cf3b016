import pytest
from django.db import connection, transaction

from paste_web.benchmarks.statements import Statements, form_of
from speculation.models import WorkerPool


@pytest.mark.parametrize(
    ("sql", "form"),
    [
        (
            'SELECT "speculation_session"."id" FROM "speculation_session" WHERE 1=1 FOR NO KEY UPDATE',
            "SELECT session locked",
        ),
        ('UPDATE "speculation_tooljob" SET "status" = %s', "UPDATE tooljob"),
        ('INSERT INTO "speculation_eventrecord" ("id") VALUES (%s)', "INSERT eventrecord"),
        ("SAVEPOINT s1", "SAVEPOINT"),
    ],
)
def test_a_statement_is_named_by_its_verb_and_table(sql: str, form: str) -> None:
    assert form_of(sql) == form


@pytest.mark.django_db(transaction=True)
def test_statements_and_transactions_of_one_connection_are_counted() -> None:
    counted = Statements()
    with counted.counting():
        WorkerPool.objects.filter(name="none").exists()
        with transaction.atomic():
            WorkerPool.objects.filter(name="none").update(slots=1)
            WorkerPool.objects.filter(name="none").exists()
    connection.close()
    assert counted.forms == ["SELECT workerpool", "UPDATE workerpool", "SELECT workerpool"]
    assert counted.to_json()["round_trips"] == 3 + 2
    assert counted.to_json()["by_verb"] == {"SELECT": 2, "UPDATE": 1}
