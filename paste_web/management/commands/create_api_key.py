"""`manage.py create_api_key NAME --scope tasks:write --scope tasks:read`: prints the key once."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from speculation.access import READ, SCOPES, WRITE, KeyRefused, create_key


class Command(BaseCommand):
    help = "Make an API key. Its text is printed once, on standard output, and cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for")
        scopes = "; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPES.items())
        parser.add_argument(
            "--scope", action="append", dest="scopes", help=f"may be repeated (default {WRITE} {READ}). {scopes}"
        )
        parser.add_argument("--days", type=int, help="the key ends after so many days (default: never)")

    def handle(self, *, name: str, scopes: list[str] | None, days: int | None, **options: Any) -> None:
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--days takes 1 to 36500.", returncode=2)
        expires_at = timezone.now() + timedelta(days=days) if days is not None else None
        try:
            key, text = create_key(name, scopes or [WRITE, READ], who="command line", expires_at=expires_at)
        except KeyRefused as refused:
            raise CommandError(str(refused), returncode=2) from refused
        self.stderr.write(f'Key "{key.name}" with {", ".join(key.scopes)}. This is shown once:')
        self.stdout.write(text)
