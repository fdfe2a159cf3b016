"""Fetching pages, against a real HTTP server on this machine; and the guard that keeps private addresses out."""

import dataclasses
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tools.addresses import is_public
from tools.base import ToolContext, ToolResult, ToolStopped
from tools.builtin import fetch_page
from tools.catalog import BUILTIN
from tools.running import execute, warm_up

HTML = """<!doctype html><html><head><title>On
 Granite</title><style>p {}</style></head><body><h1>Granite</h1><script>evil()</script>
<p>A hard&nbsp;rock, <a href="/basalt#top">see basalt</a> &amp; <a href="#here">here</a>.</p>
<ul><li>one<li>two</ul><a href="javascript:x()">no</a><a href="https://example.org/x">out</a></body></html>"""


class _Site(BaseHTTPRequestHandler):
    asked: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        self.asked.append((self.headers["Host"], self.path))
        place, _, rest = self.path[1:].partition("/")
        answer = getattr(self, f"_{place}", None)
        if answer is None:
            self._send(404, "text/html", b"<title>Gone</title>not here")
        else:
            answer(rest)

    def _page(self, _: str) -> None:
        self._send(200, "text/html; charset=utf-8", HTML.encode())

    def _to(self, target: str) -> None:
        self._send(302, "text/plain", b"", location=target)

    def _loop(self, _: str) -> None:
        self._send(302, "text/plain", b"", location="/loop")

    def _image(self, _: str) -> None:
        self._send(200, "image/png", b"\x89PNG")

    def _broken(self, _: str) -> None:
        self._send(503, "text/plain", b"back soon")

    def _secret(self, _: str) -> None:
        self._send(401, "text/plain", b"who are you?")

    def _latin(self, _: str) -> None:
        self._send(200, "text/plain; charset=latin-1", b"caf\xe9 \x00!")

    def _odd(self, _: str) -> None:
        self._send(200, "text/plain; charset=no-such", b"\xff plain")

    def _huge(self, _: str) -> None:
        self._send(200, "text/plain", b"x" * 3_000_000)

    def _slow(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        for _piece in range(100):
            self.wfile.write(b"drip ")
            self.wfile.flush()
            time.sleep(0.05)

    def _send(self, status: int, media_type: str, body: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    opened: list[Any] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.opened.append(client_address)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hangs up early is what some tests want."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """ "127.0.0.1:port" of a running site."""
    server = _Server(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def allowed(context: ToolContext, site: str) -> ToolContext:
    _Site.asked.clear()
    return dataclasses.replace(context, allowed_private_hosts=frozenset({site}))


def ask(context: ToolContext, url: str) -> ToolResult:
    return execute(BUILTIN["fetch_page"], {"url": url}, context)


def test_a_page_is_read_as_text_with_title_and_links(allowed: ToolContext, site: str) -> None:
    result = ask(allowed, f"http://{site}/page")
    assert result.ok
    assert result.structured == {
        "url": f"http://{site}/page",
        "status": 200,
        "title": "On Granite",
        "text": "# Granite\n\nA hard rock, see basalt & here.\n\n- one\n- two\nnoout",
        "links": [
            {"text": "see basalt", "url": f"http://{site}/basalt"},
            {"text": "out", "url": "https://example.org/x"},
        ],
        "cut": False,
    }
    assert "Title: On Granite" in result.content and f"- see basalt <http://{site}/basalt>" in result.content


def test_a_private_address_is_refused_unless_allowed(context: ToolContext, site: str) -> None:
    _Site.asked.clear()
    result = ask(context, f"http://{site}/page")
    assert not result.ok and "not a public address" in result.content
    other_port = dataclasses.replace(context, allowed_private_hosts=frozenset({"127.0.0.1:1"}))
    assert not ask(other_port, f"http://{site}/page").ok
    assert _Site.asked == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "0", "[::1]", "[::ffff:127.0.0.1]"])
def test_other_spellings_of_this_machine_are_refused(context: ToolContext, site: str, host: str) -> None:
    _Site.asked.clear()
    result = ask(context, f"http://{host}:{site.partition(':')[2]}/page")
    assert not result.ok
    assert _Site.asked == []


def test_every_redirect_is_checked_like_the_first_address(allowed: ToolContext, site: str) -> None:
    assert ask(allowed, f"http://{site}/to//page").structured["url"] == f"http://{site}/page"
    for target in ("http://127.0.0.1:1/x", "http://169.254.169.254/latest/meta-data", "http://[::1]:80/"):
        result = ask(allowed, f"http://{site}/to/{target}")
        assert not result.ok and "not a public address" in result.content
    for target in ("file:///etc/passwd", "ftp://example.org/x"):
        result = ask(allowed, f"http://{site}/to/{target}")
        assert not result.ok and "only http and https" in result.content


def test_redirects_end(allowed: ToolContext, site: str) -> None:
    assert "More than 5 redirects" in ask(allowed, f"http://{site}/loop").content
    assert len(_Site.asked) == 6


def test_a_name_that_changes_its_address_is_asked_for_once(
    allowed: ToolContext, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer would be a forbidden address, were there a second question."""
    port = int(site.partition(":")[2])
    questions: list[str] = []

    def resolve(host: Any, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        address = name if name.startswith("127.") else ("127.0.0.1", "10.0.0.1")[min(len(questions), 1)]
        if address != name:
            questions.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    result = ask(allowed, f"http://rebind.example:{port}/page")
    assert result.ok and result.structured["url"] == f"http://rebind.example:{port}/page"
    assert questions == ["rebind.example"]
    assert _Site.asked == [(f"rebind.example:{port}", "/page")]


def test_a_name_with_one_private_address_is_refused(
    context: ToolContext, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    assert "not a public address" in ask(context, "http://mixed.example/").content


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:5ef5:79fb:0:59d:f5ff:fffe",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_public_internet_is_known(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_known(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_bad_address_is_explained(context: ToolContext) -> None:
    assert "argument" in ask(context, "ftp://example.org/").content.lower()
    assert "user name" in ask(context, "http://me:pw@example.org/").content
    assert "is not known" in ask(context, "http://no-such-host.invalid/").content
    for url in ("http://example.org:99999/", "http://[::1/", "http://"):
        assert "is not an address" in ask(context, url).content


def test_a_missing_page_is_an_error_result_with_its_text(allowed: ToolContext, site: str) -> None:
    result = ask(allowed, f"http://{site}/nothing")
    assert not result.ok and result.structured["status"] == 404 and "not here" in result.content


def test_a_server_that_is_out_of_order_is_told_from_one_without_the_page(allowed: ToolContext, site: str) -> None:
    assert [ask(allowed, f"http://{site}/{path}").failure for path in ("nothing", "broken", "secret")] == [
        "", "unreachable", "auth",
    ]  # fmt: skip
    assert ask(allowed, "http://127.0.0.1:1/").failure == "", "a private address is refused, not out of order"


def test_text_in_any_encoding_becomes_storable_text(allowed: ToolContext, site: str) -> None:
    assert ask(allowed, f"http://{site}/latin").structured["text"] == "café !"
    assert ask(allowed, f"http://{site}/odd").structured["text"] == "\ufffd plain"


def test_what_is_no_text_is_refused(allowed: ToolContext, site: str) -> None:
    assert "image/png" in ask(allowed, f"http://{site}/image").content


def test_a_huge_page_is_cut_and_says_so(allowed: ToolContext, site: str) -> None:
    result = ask(allowed, f"http://{site}/huge")
    assert result.ok and result.structured["cut"] and "the rest was cut" in result.content
    assert len(result.structured["text"]) == fetch_page.MAX_TEXT_CHARACTERS


def test_a_slow_page_ends_at_the_limit(allowed: ToolContext, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_page, "LIMIT_SECONDS", 0.4)
    began_at = time.monotonic()
    assert "No answer within 0.4 s" in ask(allowed, f"http://{site}/slow").content
    assert time.monotonic() - began_at < 1


def test_a_stopped_fetch_returns_at_once(allowed: ToolContext, site: str) -> None:
    """What else keeps the processors busy makes it take longer, never shorter: it may be tried again."""
    took: list[float] = []
    while not took or (min(took) >= 0.2 + 0.2 and len(took) < 3):
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        began_at = time.monotonic()
        with pytest.raises(ToolStopped):
            ask(dataclasses.replace(allowed, should_stop=stop.is_set), f"http://{site}/slow")
        took.append(time.monotonic() - began_at)
    assert min(took) < 0.2 + 0.2


def test_a_warm_up_opens_a_connection_to_the_host_and_asks_it_for_nothing(allowed: ToolContext, site: str) -> None:
    tool = BUILTIN["fetch_page"]
    warming = tool.warm_up_of({"url": f"http://{site}/page?token=1"})
    assert warming == {"host": f"http://{site}"}, "it tells nobody which page"
    _Server.opened.clear()
    assert warm_up(tool, warming, allowed).ok
    assert ask(allowed, f"http://{site}/page").ok
    assert len(_Server.opened) == 2, "the warm-up's connection came before that of the call"
    assert [path for _, path in _Site.asked] == ["/page"]


def test_a_warm_up_reaches_no_further_than_the_call(context: ToolContext, site: str) -> None:
    result = warm_up(BUILTIN["fetch_page"], {"host": f"http://{site}"}, context)
    assert not result.ok and "not a public address" in result.content


def test_a_warm_up_of_a_host_that_does_not_answer_is_a_failure_of_its_own(context: ToolContext) -> None:
    nobody = dataclasses.replace(context, allowed_private_hosts=frozenset({"127.0.0.1:1"}))
    result = warm_up(BUILTIN["fetch_page"], {"host": "http://127.0.0.1:1"}, nobody)
    assert (result.ok, result.failure) == (False, "unreachable") and "cannot be reached" in result.content
