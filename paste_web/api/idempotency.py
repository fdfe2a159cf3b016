"""One Idempotency-Key, one task. The database decides who was first.

Claim, task and stored answer are one transaction: a second request with the same key waits at the unique constraint
until the first is stored and then answers the same; nothing is stored half, and a refusal is not remembered.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from psycopg.errors import LockNotAvailable

from paste_web.api.problems import FieldError, Problem
from speculation.models import ApiKey, IdempotencyRecord
from tools.canonical import canonical_json

KEPT = timedelta(hours=24)
PATIENCE_SECONDS = 3
"""How long a second request waits for the first one to be stored before it is told to come back."""
FORGET_AT_ONCE = 100


class Answer(NamedTuple):
    document: dict[str, Any]
    is_replay: bool


def once(api_key: ApiKey, path: str, key: str, body: Mapping[str, Any], store: Callable[[], dict[str, Any]]) -> Answer:
    """The answer of `store`, called by exactly one of all requests with this key. Raises Problem."""
    body_hash = hashlib.sha256(canonical_json(body).encode("utf-8", "surrogatepass")).hexdigest()
    with transaction.atomic():
        _forget_old(api_key)
        record = _claim(api_key, path, key, body_hash)
        if record.response is None:  # other requests' claims are invisible until they are answered, so this is ours
            record.status, record.response = 202, store()
            record.save(update_fields=["status", "response"])
            return Answer(record.response, is_replay=False)
    if record.body_hash != body_hash:
        detail = "This Idempotency-Key came with another body before. Use a new key for a new task."
        raise Problem("idempotency_key_reused", errors=[FieldError("header", "Idempotency-Key", detail)])
    return Answer(record.response, is_replay=True)


def _claim(api_key: ApiKey, path: str, key: str, body_hash: str) -> IdempotencyRecord:
    """The record of this key, made if there was none. Raises Problem if the first request takes too long."""
    claim = IdempotencyRecord(api_key=api_key, path=path, key=key, body_hash=body_hash)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'")
        IdempotencyRecord.objects.bulk_create([claim], ignore_conflicts=True)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as problem:
        if isinstance(problem.__cause__, LockNotAvailable):
            raise Problem("idempotency_in_progress", retry_after_seconds=1) from problem
        raise
    return IdempotencyRecord.objects.get(api_key=api_key, path=path, key=key)


def _forget_old(api_key: ApiKey) -> None:
    """Some of this key's old records. Those that another request is replacing just now are left to it."""
    old = IdempotencyRecord.objects.filter(api_key=api_key, created_at__lt=Now() - KEPT)
    some = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True)[:FORGET_AT_ONCE])
    if some:
        IdempotencyRecord.objects.filter(pk__in=some).delete()
