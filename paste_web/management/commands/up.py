"""Run everything: web server, both workers and what is due each day, beside given or embedded servers, until Ctrl-C."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from paste_web import celery_app, starting
from paste_web.processes import ProcessEnded, Processes, beat
from paste_web.progress import say


class Command(BaseCommand):
    help = "Starts the web server and the workers (and embedded servers where no addresses are set). Ctrl-C stops them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="default 8000; 0 takes a free one")
        parser.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1: this machine only")

    def handle(self, *, host: str, port: int, **options: Any) -> None:
        starting.check_port(port)
        port = port or starting.free_port(host)
        if not starting.is_free(host, port):
            raise CommandError(f"Port {port} on {host} is taken. Try --port {port + 1}, or --port 0 for a free one.")
        with starting.only_one_here(), Processes(settings.BASE_DIR, settings.PASTE_HOME / "log") as processes:
            try:
                self._run(processes, host, port)
            except ProcessEnded as problem:
                raise CommandError(str(problem)) from None
            except KeyboardInterrupt:
                say("Stopping.")

    def _run(self, processes: Processes, host: str, port: int) -> None:
        starting.prepare()
        starting.start_workers(processes)
        address = starting.start_web(processes, host, port)
        starting.wait_for_web(processes, address)
        starting.wait_for_workers(processes)
        processes.start(beat())
        if settings.PASTE_MCP_SERVERS:  # from then on the beat asks each minute
            celery_app.send_task("speculation.list_tools", queue="agents")
        self.stdout.write(f"PASTE   {address}   logs in {settings.PASTE_HOME / 'log'}   Ctrl-C stops it")
        self.stdout.flush()
        while True:
            processes.check()
            time.sleep(0.2)
