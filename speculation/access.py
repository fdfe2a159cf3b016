"""Keys for programs: made once, shown once, kept only as a hash.

A key is 256 random bits, so a plain SHA-256 is enough: there is nothing to guess, and looking one up costs microseconds.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from speculation import rows
from speculation.models import ApiKey, AuditEntry

READ, READ_ALL, WRITE, CALL = "tasks:read", "tasks:read_all", "tasks:write", "tools:call"
SCOPES = {
    WRITE: "submit tasks and cancel one's own",
    CALL: "call the tools of agents that run elsewhere, over MCP",
    READ: "read the tasks that this key submitted",
    READ_ALL: "read every task",
}
IMPLIED = {READ_ALL: READ}
MARK = "paste_"
SHOWN_CHARACTERS = 12
LONGEST_NAME_CHARACTERS = 100
SEEN_EVERY = timedelta(minutes=1)
"""`last_used_at` is no log: one write a minute and key is enough."""


_VALID = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > statement_timestamp())"
_FIND = f"""
WITH found AS (
    SELECT {rows.columns(ApiKey)} FROM speculation_apikey WHERE key_hash = %s AND {_VALID}
), seen AS (
    UPDATE speculation_apikey SET last_used_at = statement_timestamp()
    WHERE id IN (SELECT id FROM found) AND (last_used_at IS NULL OR last_used_at < statement_timestamp() - %s)
)
SELECT {rows.columns(ApiKey)} FROM found
"""


class KeyState(StrEnum):
    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeyRefused(ValueError):
    """No such key can be made; the message says why: an unknown scope, no name, a name that is too long."""


def create_key(
    name: str,
    scopes: Iterable[str],
    *,
    who: str,
    user: AbstractBaseUser | None = None,
    expires_at: datetime | None = None,
    why: str = "",
) -> tuple[ApiKey, str]:
    """A new key and its text, which nobody can read again later. Raises KeyRefused."""
    if not name.isprintable() or not 1 <= len(name.strip()) <= LONGEST_NAME_CHARACTERS:
        raise KeyRefused(f"A key's name has 1 to {LONGEST_NAME_CHARACTERS} printable characters.")
    granted = sorted(set(scopes))
    if not granted or not SCOPES.keys() >= set(granted):
        raise KeyRefused(f"A key needs scopes out of {', '.join(sorted(SCOPES))}; got {', '.join(granted) or 'none'}.")
    text = MARK + secrets.token_urlsafe(32)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            prefix=text[:SHOWN_CHARACTERS],
            key_hash=_hash(text),
            scopes=granted,
            created_by=user,
            expires_at=expires_at,
        )
        _audit(
            key,
            "key created",
            who,
            user,
            why,
            before=None,
            after={"name": name, "prefix": key.prefix, "scopes": granted},
        )
    return key, text


def revoke_key(key: ApiKey, *, who: str, user: AbstractBaseUser | None = None, why: str = "") -> bool:
    """From the next request on the key is refused. False: it was revoked before."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now()):
            return False
        _audit(key, "key revoked", who, user, why, before={"revoked": False}, after={"revoked": True})
    return True


def find_key(text: str) -> ApiKey | None:
    """The valid key with this text, or None: never made, expired or revoked. One statement: each call waits for it."""
    found = list(rows.read(ApiKey, _FIND, [_hash(text), SEEN_EVERY]))
    return found[0] if found else None


def valid_keys() -> QuerySet[ApiKey]:
    """Keys that a request may carry now, by the database's clock."""
    return ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)


def listed_keys() -> QuerySet[ApiKey]:
    """Every key as people read the list: those that were not revoked first, the newest of them before."""
    return ApiKey.objects.select_related("created_by").order_by(F("revoked_at").desc(nulls_first=True), "-created_at")


def state_of(key: ApiKey, now: datetime) -> KeyState:
    if key.revoked_at is not None:
        return KeyState.REVOKED
    return KeyState.EXPIRED if key.expires_at is not None and key.expires_at <= now else KeyState.VALID


def may(key: ApiKey, scope: str) -> bool:
    """True if the key carries the scope, or one that implies it."""
    return any(held == scope or IMPLIED.get(held) == scope for held in key.scopes)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _audit(
    key: ApiKey, what: str, who: str, user: AbstractBaseUser | None, why: str, *, before: object, after: object
) -> None:
    AuditEntry.objects.create(
        who=who, user=user, what=f"{what}: {key.name} ({key.prefix}…)", before=before, after=after, why=why
    )
