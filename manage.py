#!/usr/bin/env python3
"""Django's command line with our settings, beside a PostgreSQL and a broker: the given ones, running ones, or embedded ones."""

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from django.core.management import execute_from_command_line

from paste_web import embedded, environment
from paste_web.benchmarks import names as benchmarks

WITHOUT_SERVERS = {
    *("help", "version", "--help", "-h", "--version", "check"),
    *("collectstatic", "refresh_vendor", "evaluate", "chaos", "mcp_commands"),
}


def _interrupt(*_: Any) -> NoReturn:
    """A polite kill stops whatever was started, just as Ctrl-C does."""
    raise KeyboardInterrupt


def _is_without_servers(words: list[str]) -> bool:
    if not words or words[0] in WITHOUT_SERVERS or "--help" in words:
        return True
    return words[0] == "benchmark" and not benchmarks.needs_servers(words[1:])


def main() -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background commands with it ignored
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paste_web.settings")
    if _is_without_servers(sys.argv[1:]):
        execute_from_command_line(sys.argv)
        return
    home = environment.private_folder("PASTE_HOME", Path(__file__).resolve().parent / ".paste")
    try:
        with embedded.servers_in_environment(home):
            execute_from_command_line(sys.argv)
    except embedded.ServerError as problem:
        sys.exit(f"paste: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
