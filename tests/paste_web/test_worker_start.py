"""A worker loads nothing that draws pages, so that one that was lost is soon replaced."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

from paste_web import environment

PROJECT = Path(__file__).resolve().parents[2]


def settings_of_a_worker(tmp_path: Path) -> str:
    """As a worker itself reports them."""
    report = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "paste_web.celery", "report"],
        cwd=PROJECT,
        env={**os.environ, "PASTE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return report.stdout.partition("INSTALLED_APPS:")[2].partition("]")[0]


def test_a_worker_has_the_tables_and_not_the_pages(tmp_path: Path) -> None:
    apps_of_worker = settings_of_a_worker(tmp_path)
    assert "'speculation'" in apps_of_worker and "'django.contrib.auth'" in apps_of_worker
    assert not any(name in apps_of_worker for name in ("admin", "unfold", "ninja", "htmx"))


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/srv/paste/.venv/bin/celery", True),
        ("/usr/lib/python3/site-packages/celery/__main__.py", True),
        ("/srv/celery/manage.py", False),
        ("manage.py", False),
        ("", False),
    ],
)
def test_a_folder_of_that_name_makes_nobody_a_worker(program: str, expected: bool) -> None:
    assert environment.is_celery(program) is expected


def test_everybody_else_has_both() -> None:
    assert all(apps.is_installed(name) for name in ("django.contrib.admin", "unfold", "ninja", "speculation"))
