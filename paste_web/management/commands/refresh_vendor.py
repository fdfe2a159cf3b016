"""Fetch the browser's chart library again: `python manage.py refresh_vendor 4.1.1`. Needs npm; nothing else here does."""

import shutil
import subprocess
import tarfile
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

PACKAGE = "plotly.js-basic-dist-min"
WANTED = {"package/plotly-basic.min.js": "plotly-basic.min.js", "package/LICENSE": "plotly-basic.LICENSE"}


class Command(BaseCommand):
    help = "Replace static/vendor/plotly-basic.min.js and its licence by those of the given version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="Of the package plotly.js-basic-dist-min, e.g. 4.1.1.")

    def handle(self, *, version: str, **options: Any) -> None:
        vendor = Path(settings.BASE_DIR) / "static" / "vendor"
        with tempfile.TemporaryDirectory() as folder:
            archive = _pack(version, Path(folder))
            with tarfile.open(archive) as tar:
                for member, name in WANTED.items():
                    source = tar.extractfile(member)
                    if source is None:
                        raise CommandError(f"The package has no {member}.")
                    (vendor / name).write_bytes(source.read())
                    self.stdout.write(f"static/vendor/{name}  {(vendor / name).stat().st_size} bytes")


def _pack(version: str, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise CommandError("npm is not installed; it fetches the package.")
    done = subprocess.run([npm, "pack", f"{PACKAGE}@{version}"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandError(f"npm pack failed: {done.stderr.strip()[-500:]}")
    return next(folder.glob("*.tgz"))
