"""Delete what ended longer ago than it is to be kept, now instead of in the night, or only say what that would be."""

import json
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from speculation.management.progress import Progress
from speculation.management.tables import require_tables
from speculation.retention import KINDS, Tally, retain
from speculation.text_table import text_table

MOST_DAYS = 36_500


class Command(BaseCommand):
    help = (
        "Deletes sessions that ended so many days ago with everything of theirs: log, jobs, results, figures, files and "
        "records. Exit code 1 if something could not be deleted. Patterns and the audit stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, help="keep so many days (default: PASTE_RETENTION_DAYS)")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *, days: int | None, dry_run: bool, **options: Any) -> None:
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days takes 1 to {MOST_DAYS}, not {days}.", returncode=2)
        require_tables()
        days = settings.PASTE_RETENTION_DAYS if days is None else days
        before = timezone.now() - timedelta(days=days) if days else None
        progress = Progress(self.stderr.write)
        tally = retain(
            before,
            who="command line",
            is_dry_run=dry_run,
            on_progress=lambda sessions: progress.tell(f"{sessions} sessions"),
        )
        if options["format"] == "json":
            told = {
                "dry_run": dry_run,
                "days": days,
                "before": before.isoformat() if before else None,
                **tally.as_json(),
            }
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self.stdout.write(_as_text(tally, before, dry_run))
        if tally.problems:
            raise SystemExit(1)


def _as_text(tally: Tally, before: datetime | None, is_dry_run: bool) -> str:
    verb = "Would be deleted" if is_dry_run else "Deleted"
    what = (
        f"what ended before {before:%Y-%m-%d %H:%M} UTC"
        if before
        else "only what has expired, since sessions are kept for ever"
    )
    rows = [(kind, f"{tally.counts[kind]:,}") for kind in KINDS if tally.counts[kind] or kind in KINDS[:3]]
    lines = [f"{verb}: {what}", text_table(("what", "count"), rows)]
    if tally.folder_bytes:
        lines.append(f"The folders hold{'' if is_dry_run else ' no longer'} {tally.folder_bytes / 1e6:,.1f} MB.")
    for reason, count in tally.waiting.items():
        lines.append(f"{count} {'session stays' if count == 1 else 'sessions stay'}: {reason}.")
    lines += [f"Could not delete {problem}." for problem in tally.problems]
    return "\n".join(lines)
