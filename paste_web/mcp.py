"""The MCP endpoint: where an agent that runs elsewhere calls its tools, `/mcp/<agent>`, streamable HTTP.

The protocol is the SDK's (both its revisions: with a handshake, and since 2026-07-28 without). Ours is who may come in, and
which session a call belongs to: as its `_meta` names it ("paste/session"), else the header Paste-Session, else the connection:
the Mcp-Session-Id that we give to those who shake hands, else the TCP connection itself. It stands beside Django, which
knows no streams of this kind, and keeps Django's rules: allowed hosts, no foreign origins, a bound for each body.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http.request import split_domain_port, validate_host
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from paste_web.api.envelope import LARGEST_BODY_BYTES
from paste_web.api.keys import key_of
from paste_web.api.problems import Problem, document_of, headers_of
from paste_web.mcp_address import ROOT, mcp_path
from paste_web.mcp_running import Running
from paste_web.mcp_tools import CALLER, client_named, in_thread, server
from speculation import access
from speculation.models import AgentProfile, ApiKey, ModelKind
from speculation.remote_calls import Caller, agent_named, leave

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SESSION_HEADER, CONNECTION_HEADER, VERSION_HEADER = "paste-session", "mcp-session-id", "mcp-protocol-version"
IS_NAME = re.compile(r"[-\w]+")
METHODS = "POST, DELETE"
"""There is nothing that we would tell unasked, so there is no stream to GET."""


class McpEndpoint:
    """An ASGI application."""

    def __init__(self) -> None:
        self._running = Running(_manager)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = uuid4().hex
        try:
            await self._answer(scope, receive, partial(_marked, send, request_id))
        except Problem as problem:
            await _refuse(problem, request_id, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        _check_sender(headers)
        try:
            caller = await in_thread(partial(_caller, scope, headers))
        except (DatabaseError, InterfaceError):
            raise Problem("not_stored", retry_after_seconds=5) from None
        if scope["method"] == "DELETE":
            if SESSION_HEADER not in headers:  # a session that the client has named outlasts its connections
                await in_thread(partial(leave, caller))
            await _send(send, 204, {})
        elif scope["method"] != "POST":
            raise Problem("method_not_allowed")
        else:
            scope[CALLER] = caller
            manager = await self._running.manager()
            if CONNECTION_HEADER not in headers and VERSION_HEADER not in headers:
                receive, send = await _greeted(receive, send)
            await manager.handle_request(scope, receive, send)


def _manager() -> StreamableHTTPSessionManager:
    return StreamableHTTPSessionManager(
        server,
        stateless=True,  # whatever lasts is in the database, so any web process may answer
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # checked by _check_sender
        max_request_body_size=LARGEST_BODY_BYTES,
    )


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _check_sender(headers: Mapping[str, str]) -> None:
    """As Django does for everything else; a page of another site must not use a key that its reader's network lends it."""
    host = headers.get("host", "")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        raise Problem("bad_request", "The header Host names none of PASTE_ALLOWED_HOSTS.")
    origin = headers.get("origin")
    if origin and urlsplit(origin).netloc != host and origin not in settings.CSRF_TRUSTED_ORIGINS:
        raise Problem("foreign_origin")


def _caller(scope: Scope, headers: Mapping[str, str]) -> Caller:
    """Who calls, for which agent. Raises Problem: first about the key, so that nobody else learns what agents there are."""
    key = key_of(headers.get("authorization", ""), access.CALL)
    return Caller(key, _agent(scope["path"], key), _session_name(scope, headers), _client_of(headers))


def _agent(path: str, key: ApiKey) -> AgentProfile:
    name = unquote(path.removeprefix(ROOT.rstrip("/"))).strip("/")
    agent = agent_named(name) if IS_NAME.fullmatch(name) else None
    if agent is None:
        names = AgentProfile.objects.filter(model_kind=ModelKind.REMOTE).order_by("name").values_list("name", flat=True)
        known = ", ".join(map(mcp_path, names))
        missing = f'There is no agent "{name}" that runs elsewhere.' if name else "The address lacks its agent."
        raise Problem("not_found", f"{missing} There is: {known or 'none yet; an administrator can add one'}.")
    return agent


def _session_name(scope: Scope, headers: Mapping[str, str]) -> str:
    """Each kind apart, so that none can be taken for another."""
    for header in (SESSION_HEADER, CONNECTION_HEADER):
        if named := headers.get(header):
            return f"{header} {named}"
    return f"connection {scope.get('client')}"


async def _greeted(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Gives a name to the connection of a client that shakes hands; it repeats the name with each request that follows.

    The request is looked at first, since an answer that streams has its headers before anybody has read the question.
    """
    body, receive = await _looked_at(receive)
    try:
        asked = json.loads(body)
        client = client_named(asked["params"]["clientInfo"]) if asked["method"] == "initialize" else None
    except (ValueError, RecursionError, TypeError, KeyError):  # the SDK says what is wrong with it
        client = None
    return receive, send if client is None else partial(_with_header, send, CONNECTION_HEADER, _connection_of(client))


async def _looked_at(receive: Receive) -> tuple[bytes, Receive]:
    """The body as far as it is allowed, and a channel that has all of it once more."""
    messages, size = [await receive()], 0
    while messages[-1].get("more_body") and size <= LARGEST_BODY_BYTES:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
    body = b"".join(message.get("body", b"") for message in messages)

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again


async def _with_header(send: Send, name: str, value: str, message: Message) -> None:
    if message["type"] == "http.response.start" and message["status"] < 300:
        message = {**message, "headers": [*message.get("headers", ()), (name.encode(), value.encode())]}
    await send(message)


def _connection_of(client: str) -> str:
    """Nobody can guess it, and it tells any web process who the client said it was."""
    return f"{uuid4().hex}.{urlsafe_b64encode(client.encode('utf-8', 'replace')).decode().rstrip('=')}"


def _client_of(headers: Mapping[str, str]) -> str:
    _, _, encoded = headers.get(CONNECTION_HEADER, "").partition(".")
    try:
        client = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        client = ""
    return client if client.isprintable() and client else headers.get("user-agent", "")


async def _marked(send: Send, request_id: str, message: Message) -> None:
    if message["type"] == "http.response.start":
        ours = [(b"x-request-id", request_id.encode()), (b"cache-control", b"no-store")]
        kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"cache-control"]
        message = {**message, "headers": [*kept, *ours]}
    await send(message)


async def _refuse(problem: Problem, request_id: str, send: Send) -> None:
    headers = {**headers_of(problem), "X-Request-Id": request_id}
    if problem.kind.status == 405:
        headers["Allow"] = METHODS
    await _send(send, problem.kind.status, headers, json.dumps(document_of(problem, request_id)))


async def _send(send: Send, status: int, headers: Mapping[str, str], body: str = "") -> None:
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body.encode()})
