"""The library of the research demo as a real web site on this machine: `python -m tools.worlds.site --port 8123`."""

import argparse
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SITE = Path(__file__).parent / "research" / "site"


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Pages(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """One line a request on stderr would bury everything else a demo prints."""


def make_server(port: int) -> _Server:
    """Bound to 127.0.0.1, not yet answering. Port 0 takes a free one. Raises OSError where the port is taken."""
    return _Server(("127.0.0.1", port), partial(_Pages, directory=str(SITE)))


def serve(port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """Answer in a thread. Returns the server, to `shutdown()` and `server_close()`, and its base URL."""
    server = make_server(port)
    threading.Thread(target=server.serve_forever, name="library", daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the demo's library on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8123)
    with make_server(parser.parse_args().port) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
