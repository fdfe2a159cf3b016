"""Fetch a web page as text."""

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tools.addresses import checked_addresses
from tools.base import (
    Forbidden,
    InvalidArguments,
    NotAuthorized,
    Quota,
    SideEffect,
    Tool,
    ToolContext,
    ToolError,
    ToolPolicy,
    ToolResult,
    ToolStopped,
    Unreachable,
)
from tools.page_text import PageText, read_page
from tools.schema import arguments_schema, text
from tools.waiting import run_stoppable, stand_in_for_network

MAX_BYTES = 2_000_000
MAX_TEXT_CHARACTERS = 40_000
MAX_REDIRECTS = 5
LIMIT_SECONDS = 20.0
"""For all of it, redirects included."""
CONNECT_SECONDS = 5.0
LONGEST_QUOTA_SECONDS = 7 * 86_400

_HEADERS = {"User-Agent": "paste/0.1 (fetch_page)", "Accept": "text/html, text/*;q=0.9, application/json;q=0.8"}
_READABLE = ("text/", "application/json", "application/xml", "application/xhtml+xml")


@dataclass(frozen=True)
class Page:
    """What came back, after redirects."""

    url: str
    status: int
    media_type: str
    body: str
    is_cut: bool
    quota: Quota | None = None


class FetchPage(Tool):
    """A real fetch. Where the demo's library on this machine stands for the web, the context's network latency, times
    0.6 to 1.4 by the call, is added."""

    name = "fetch_page"
    description = (
        "Fetch a web page and read it as text, with its title and links. Public http and https addresses only."
    )
    parameters = arguments_schema(
        required=["url"], url=text("Absolute address.", maxLength=2000, pattern="^[hH][tT][tT][pP][sS]?://")
    )
    policy = ToolPolicy(
        effect=SideEffect.NONE,
        open_world=True,
        expected_seconds=1.5,
        timeout_seconds=LIMIT_SECONDS + 10,
        ttl_seconds=300,
        warm_up_seconds=0.1,
    )
    warms_by = "Looks the host's name up and opens a connection to it, which is closed again. The host learns no address of a page."

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        stand_in_for_network(self, arguments, context)
        fetch = _Fetch(context.allowed_private_hosts)
        return run_stoppable(
            lambda: _answer(fetch.follow(arguments["url"])),
            context,
            limit_seconds=LIMIT_SECONDS,
            interrupt=fetch.gave_up.set,
        )

    def warm_up_of(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The host alone: all its pages share it."""
        url = _parsed(arguments["url"])
        return {"host": f"{url.scheme}://{url.netloc.decode('ascii')}"}

    def warm_up(self, arguments: Mapping[str, Any], context: ToolContext) -> None:
        url = _parsed(arguments["host"])
        run_stoppable(
            lambda: _knock(url, context.allowed_private_hosts),
            context,
            limit_seconds=LIMIT_SECONDS,
            interrupt=lambda: None,
        )


def _knock(url: httpx.URL, allowed_private_hosts: frozenset[str]) -> None:
    """So that resolvers on the way know the host, and it is known to answer. Raises ToolError."""
    port = _port(url)
    for address in checked_addresses(url.raw_host.decode("ascii"), port, allowed_private_hosts):
        try:
            socket.create_connection((address, port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            failure = error
        else:
            return
    raise Unreachable(f"{url} cannot be reached.") from failure


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


class _Fetch:
    """One page, from the first request to the last redirect. `gave_up` ends it at its next byte."""

    def __init__(self, allowed_private_hosts: frozenset[str]) -> None:
        self.allowed_private_hosts = allowed_private_hosts
        self.gave_up = threading.Event()

    def follow(self, url: str) -> Page:
        """Raises ToolError. Every redirect is checked like the first address."""
        # trust_env=False: a proxy from the environment would choose the address instead of us
        with httpx.Client(timeout=httpx.Timeout(10, connect=CONNECT_SECONDS), trust_env=False, headers=_HEADERS) as client:
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._request(client, _parsed(url))
                if isinstance(answer, Page):
                    return answer
                url = answer
        raise ToolError(f"More than {MAX_REDIRECTS} redirects; the last one leads to {url}.")

    def _request(self, client: httpx.Client, url: httpx.URL) -> Page | str:
        """The page, or the address that it redirects to."""
        port = _port(url)
        name = url.raw_host.decode("ascii")
        headers = {"Host": url.netloc.decode("ascii")}
        for address in checked_addresses(name, port, self.allowed_private_hosts):
            target = url.copy_with(host=address)
            try:
                with client.stream("GET", target, headers=headers, extensions={"sni_hostname": name}) as response:
                    return self._read(response, url)
            except httpx.ConnectError as error:
                failure = error
            except httpx.HTTPError as error:
                raise Unreachable(f"{url} could not be read ({type(error).__name__}); try another page.") from error
        raise Unreachable(f"{url} cannot be reached; try another page.") from failure

    def _read(self, response: httpx.Response, url: httpx.URL) -> Page | str:
        if response.is_redirect:
            return str(url.join(response.headers["location"]))
        media_type = response.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
        if not media_type.startswith(_READABLE):
            raise ToolError(f"{url} is {media_type}, not a page of text; try another page.")
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if self.gave_up.is_set():
                raise ToolStopped
            if len(body) > MAX_BYTES:
                break
        body_text = _decode(bytes(body[:MAX_BYTES]), response.charset_encoding or "utf-8")
        is_cut = len(body) > MAX_BYTES
        return Page(str(url), response.status_code, media_type, body_text, is_cut, _quota(response.headers))


def _quota(headers: httpx.Headers) -> Quota | None:
    """What a site says in the usual headers about the requests it still takes."""
    left, resets = (_number(headers, name) for name in ("remaining", "reset"))
    if left is None:
        return None
    is_moment = resets is not None and resets > LONGEST_QUOTA_SECONDS  # some say when, not after how long
    return Quota(left, None if is_moment else resets)


def _number(headers: httpx.Headers, name: str) -> float | None:
    text = headers.get(f"ratelimit-{name}") or headers.get(f"x-ratelimit-{name}") or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidArguments(f"{url} is not an address: {error}.") from error
    if parsed.scheme not in ("http", "https"):
        raise Forbidden(f"{url}: only http and https addresses can be fetched.")
    if not parsed.host or (parsed.port or 0) > 65535:
        raise InvalidArguments(f"{url} is not an address: it needs a host, and a port below 65536 if any.")
    if parsed.userinfo:
        raise Forbidden("An address with a user name or password in it may not be fetched; leave them out.")
    return parsed


def _decode(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _answer(page: Page) -> ToolResult:
    is_html = "html" in page.media_type or page.body.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))
    read = read_page(page.body, page.url) if is_html else PageText("", page.body)
    kept = read.text[:MAX_TEXT_CHARACTERS]
    is_cut = page.is_cut or len(kept) < len(read.text)
    structured = {
        "url": page.url,
        "status": page.status,
        "title": read.title,
        "text": kept,
        "links": read.links,
        "cut": is_cut,
    }
    return ToolResult(
        page.status < 400, _readable(page, read, kept, is_cut), structured, _failure(page.status), page.quota
    )


def _failure(status: int) -> str:
    """A server that is out of order failed us; one that has no such page answered."""
    if status in (401, 407):
        return NotAuthorized.failure
    return Unreachable.failure if status >= 500 else ""


def _readable(page: Page, read: PageText, kept: str, is_cut: bool) -> str:
    """The page as a model reads it."""
    parts = [f"{page.url} (status {page.status})"] + [f"Title: {read.title}"] * bool(read.title) + [kept]
    if is_cut:
        parts.append("[the page is longer; the rest was cut]")
    if read.links:
        parts.append("Links:\n" + "\n".join(f"- {link['text']} <{link['url']}>" for link in read.links))
    return "\n\n".join(part for part in parts if part)
