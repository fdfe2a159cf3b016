"""The section `call` as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from speculation.text_table import Row, text_table

KINDS = {
    "noop": "a tool that does nothing, known to be cheap",
    "noop_by_worker": "a tool that does nothing, not known to be cheap",
    "wait_50ms": "a tool that waits 50 ms",
}
HEAD = ("ms", "sessions", "p50", "p90", "p99", "mean", "max", "of")


def call_text(section: Mapping[str, Any]) -> str:
    head = (
        f"From the call to its answer, {section['slots']} tool slots. Through us: SessionRuntime.answer_calls of a session, "
        f"scheduler, broker, worker and log. Bare: the same tool called in the same thread. Celery: a task that does nothing "
        f"and its notice. All of them once a round, in drawn order; added: through us minus bare, of the same round. "
        f"More than one session: each pauses {section['think_seconds']:g} s on average before each call; all of them are "
        f"threads of one process, as in an agents worker. A session is asked {section['calls_a_session']} calls, then comes "
        "the next."
    )
    tables = [text_table([KINDS[kind], *HEAD[1:]], _rows(section, kind)) for kind in KINDS]
    celery = [_row("bare Celery round trip", level["sessions"], level["celery"]) for level in section["levels"]]
    return "\n".join([head, *tables, text_table(HEAD, celery), *_database(section["database"])])


def _rows(section: Mapping[str, Any], kind: str) -> Iterator[Row]:
    for what in ("through_us", "bare", "added"):
        for level in section["levels"]:
            yield _row(what.replace("_", " "), level["sessions"], level["kinds"][kind][what])


def _row(what: str, sessions: int, figures: Mapping[str, Any]) -> Row:
    shown = [f"{figures[name]:.2f}" for name in ("p50", "p90", "p99", "mean", "max")]
    return [what, str(sessions), *shown, str(figures["count"])]


def _database(counted: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [
            f"{KINDS[kind]}: {side}",
            *(str(found[name]) for name in ("statements", "transactions", "round_trips")),
            _verbs(found),
        ]
        for kind, sides in counted.items()
        for side, found in sides.items()
    ]
    yield "What one such call asks of the database, the worker's part run in this process; a transaction is two round trips more."
    yield text_table(["", "statements", "transactions", "round trips", "by verb"], rows)


def _verbs(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{count} {verb}" for verb, count in found["by_verb"].items()) or "-"
