"""Simulate sessions at a model endpoint with few seats, under the order of seats and others."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from speculation.seat_comparison import Choices, as_text, compare_orders

DEFAULTS = Choices()
OPTIONS = {
    "sessions": "in each run",
    "seeds": "runs of each mix and load",
    "seats": "requests at once at the endpoint",
    "slots": "tools at once",
}


class Command(BaseCommand):
    help = (
        "Made-up sessions take turns between a model with few seats and tools with slots; prints what each order of seats "
        "makes of task times, against first come, first served. Needs no server. docs/admission.md explains the figures."
    )
    requires_system_checks: Sequence[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, text in OPTIONS.items():
            default = getattr(DEFAULTS, name)
            parser.add_argument(f"--{name}", default=default, metavar="N", help=f"{text} (default {default})")
        parser.add_argument("--format", choices=["table", "json"], default="table")

    def handle(self, **options: Any) -> None:
        choices = Choices(**{name: _whole(name, options[name]) for name in OPTIONS})
        rows = compare_orders(choices)
        is_json = options["format"] == "json"
        self.stdout.write(json.dumps({**asdict(choices), "rows": rows}, indent=2) if is_json else as_text(rows))


def _whole(name: str, given: Any) -> int:
    if not str(given).isdecimal() or not 1 <= int(given) <= 10_000:
        raise CommandError(f"--{name} takes a whole number from 1 to 10000, not {given!r}.", returncode=2)
    return int(given)
