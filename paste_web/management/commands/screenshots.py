"""Pictures of every page, filled and empty, light, dark and 390 px wide: for whoever looks before others do."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from paste_web.picturing import filled, scarce
from paste_web.picturing.browser import NoBrowser, chromium
from paste_web.picturing.pages import EVERYWHERE, FILLED, House
from paste_web.picturing.photographs import Photographer
from paste_web.picturing.scratch import NoScratch, scratch_database, served
from paste_web.processes import ProcessEnded
from paste_web.progress import say, step

FOLDER = "screenshots"


class Command(BaseCommand):
    help = (
        "Writes a PNG of every page, filled and empty, light, dark and 390 px wide. Uses a database of its own, which it "
        "fills with made-up sessions and drops, a web server of its own, and a headless Chromium."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", type=Path, help=f"folder for the files (default {FOLDER} in PASTE_HOME)")
        parser.add_argument("--only", metavar="NAME", help="pictures whose name begins so, e.g. session")
        parser.add_argument("--sessions", type=int, default=filled.MANY_SESSIONS, help="made up (default %(default)s)")
        parser.add_argument("--seed", type=int, default=1, help="of all that is made up (default 1)")

    def handle(self, *, out: Path | None, only: str | None, sessions: int, seed: int, **options: Any) -> None:
        names = [look.name for look in (*EVERYWHERE, *FILLED)]
        if only is not None and not any(name.startswith(only) for name in names):
            raise CommandError(f"--only: no picture begins with {only!r}; there are {', '.join(names)}.", returncode=2)
        if sessions < 0:
            raise CommandError(f"--sessions takes a whole number from 0, not {sessions}.", returncode=2)
        folder = out or settings.PASTE_HOME / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            count = _photograph(folder, only or "", sessions, seed)
        except NoBrowser as problem:
            raise CommandError(str(problem), returncode=2) from None
        except (NoScratch, ProcessEnded, OSError) as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"{count} pictures in {folder}")


def _photograph(folder: Path, only: str, sessions: int, seed: int) -> int:
    with chromium() as browser, scratch_database(), served() as server:
        photographer = Photographer(browser, server.address, folder)
        operator, viewer = filled.people()

        def take(house: House, state: str, *, alone: bool | None = None) -> int:
            there = (*EVERYWHERE, *FILLED) if state == "filled" else EVERYWHERE
            wanted = [look for look in there if look.name.startswith(only)]
            if alone is not None:
                wanted = [look for look in wanted if look.needs_one is alone]
            return photographer.take(house, wanted, state, say)

        house = scarce.least(operator)
        count = take(house, "empty", alone=True)
        scarce.forget(house)
        count += take(house, "empty", alone=False)
        with step("Made-up sessions"):
            full = filled.fill(timezone.now(), operator=operator, viewer=viewer, seed=seed, sessions=sessions)
        return count + take(full, "filled")
