"""Sessions of the demo agents while workers, servers and connections are killed; what was promised of them is checked."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from paste_web.chaos import report
from paste_web.chaos.play import ChaosFailed, play
from paste_web.postgres_server import ServerError
from paste_web.progress import say

MOST_SESSIONS = 5_000


class Command(BaseCommand):
    help = (
        "Runs sessions of the demo agents on servers and workers of its own, kills those at random, and compares what came "
        "of the sessions with serial execution. Exit code 1 if a promise was broken. The storm ends after 240 s + 6 s a session at most."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--sessions", type=int, default=50, help="how many (default 50)")
        parser.add_argument("--seed", type=int, default=1, help="draws what is killed and when (default 1)")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *, sessions: int, seed: int, **options: Any) -> None:
        if not 1 <= sessions <= MOST_SESSIONS:
            raise CommandError(f"--sessions takes 1 to {MOST_SESSIONS}, not {sessions}.", returncode=2)
        try:
            played = play(sessions, seed)
        except (ChaosFailed, ServerError, OSError) as problem:
            raise CommandError(str(problem)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped.", returncode=130) from None
        document = report.document(played, seed)
        self.stdout.write(json.dumps(document, indent=2) if options["format"] == "json" else report.as_text(document))
        if document["broken"]:
            say(f"{document['broken']} promises were broken.")
            raise SystemExit(1)
