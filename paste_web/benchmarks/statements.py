"""What the database is asked for one call, counted in this process: statements, and transactions of several statements."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from psycopg.pq import TransactionStatus

_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"(?:speculation_)?(\w+)"')


class Statements:
    """A counting wrapper for one thread's connection. `forms`: verb and table of each statement, in order."""

    def __init__(self) -> None:
        self.forms: list[str] = []
        self.transactions = 0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        driver = context["connection"].connection
        if not driver.autocommit and driver.info.transaction_status == TransactionStatus.IDLE:
            self.transactions += 1
        self.forms.append(form_of(sql))
        return execute(sql, params, many, context)

    @contextmanager
    def counting(self) -> Iterator[None]:
        with connection.execute_wrapper(self):
            yield

    def to_json(self) -> dict[str, Any]:
        """`round_trips`: each statement is one, and each transaction has a BEGIN and a COMMIT beside."""
        verbs = Counter(form.split()[0] for form in self.forms)
        return {
            "statements": len(self.forms),
            "transactions": self.transactions,
            "round_trips": len(self.forms) + 2 * self.transactions,
            "by_verb": dict(sorted(verbs.items())),
            "forms": self.forms,
        }


def form_of(sql: str) -> str:
    """Verb and table, and whether rows are locked: "SELECT session locked"."""
    table = _TABLE.search(sql)
    words = [sql.split(maxsplit=1)[0].upper(), table[1] if table else "", "locked" if " FOR " in sql else ""]
    return " ".join(filter(None, words))
