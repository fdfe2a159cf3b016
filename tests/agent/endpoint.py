"""A real HTTP server on this machine that speaks chat completions as a test tells it to."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUT = object()
"""As a piece of a stream: break the connection here."""
WAIT = object()
"""As a piece of a stream: send nothing more until the client has gone."""


class Endpoint(ThreadingHTTPServer):
    """Answers every request with `status`, `headers` and either the pieces of a stream or a plain `body`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.pieces: Sequence[Any] = ()
        self.turns: Sequence[Sequence[Any]] = ()
        """Where given: the pieces that answer the first, second, ... request, instead of `pieces` each time."""
        self.body: bytes | None = None
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.client_has_gone = threading.Event()

    def pieces_now(self) -> Sequence[Any]:
        return self.turns[len(self.requests) - 1] if self.turns else self.pieces

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def log_message(self, format: str, *args: object) -> None: ...

    def do_POST(self) -> None:
        self.server.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.server.keys.append(self.headers["authorization"])
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        if self.server.body is not None:
            self.send_header("content-length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)
            return
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._send_pieces()

    def _send_pieces(self) -> None:
        self.close_connection = True
        for piece in self.server.pieces_now():
            if piece is CUT:
                return
            if piece is WAIT:
                self._wait_for_the_end()
                return
            self._send(f"data: {piece if isinstance(piece, str) else json.dumps(piece)}\n\n".encode())
        self._send(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _wait_for_the_end(self) -> None:
        """The client sends nothing more, so reading ends exactly when it closes."""
        self.connection.settimeout(10)
        if self.connection.recv(1) == b"":
            self.server.client_has_gone.set()


@contextmanager
def running_endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}


def text(words: str) -> dict[str, Any]:
    return chunk({"content": words})


def call(index: int, *, name: str = "", arguments: str = "", identity: str = "") -> dict[str, Any]:
    """A piece of a tool call; what is empty is left out."""
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value}
    piece: dict[str, Any] = {"index": index, "function": function}
    return chunk({"tool_calls": [{**piece, "id": identity, "type": "function"} if identity else piece]})


def end(finish_reason: str = "stop") -> dict[str, Any]:
    return chunk({}, finish_reason)


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": 0}
    return {**chunk({}), "choices": [], "usage": counts}
