"""Measure the engine on recorded sessions of real agents: train on some files, predict and replay others."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from speculation.evaluating import Choices, evaluate
from speculation.evaluation_report import write_report
from speculation.evaluation_sets import SourceSets, read_sets
from speculation.evaluation_table import as_text
from speculation.management.progress import Progress
from speculation.traces import BadLine, Effects

EFFECTS_FILE = "effects.json"


class Command(BaseCommand):
    help = (
        "Trains on recorded sessions (JSON lines, plain or gzipped), predicts every turn of others, replays them and says how "
        "often predictions were right and what speculation would have hidden. Never tests on a task it trained on: sessions "
        "given for both are split by task, half and half. Needs no database and no broker."
    )
    requires_system_checks: Sequence[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--train", nargs="+", type=Path, required=True, metavar="FILE")
        parser.add_argument("--test", nargs="+", type=Path, required=True, metavar="FILE")
        parser.add_argument(
            "--effects",
            type=Path,
            metavar="FILE",
            help=f"what the tools do (default: {EFFECTS_FILE} beside the first FILE)",
        )
        parser.add_argument("--sources", nargs="+", metavar="NAME", help="only these sources")
        parser.add_argument(
            "--seed", type=int, default=1, help="splits tasks, draws tool times and random guesses (default 1)"
        )
        parser.add_argument(
            "--tool-times",
            choices=["drawn", "recorded"],
            default="drawn",
            help="of the replay: drawn per distinct call, or recorded where they mean something",
        )
        parser.add_argument(
            "--ablations", action="store_true", help="measure once more without each part of the engine"
        )
        parser.add_argument(
            "--evidence",
            action="store_true",
            help="replay also with what the model streams of a turn: text, arguments, seal",
        )
        parser.add_argument("--format", choices=["table", "json"], default="table")
        parser.add_argument(
            "--dump",
            type=Path,
            metavar="FILE",
            help="write every model turn and its five predictions, a JSON line each",
        )
        parser.add_argument(
            "--report", type=Path, metavar="FILE.html", help="write a page of charts that needs nothing else"
        )

    def handle(self, **options: Any) -> None:
        sets = self._sets(options)
        effects = self._effects(options)
        choices = Choices(
            seed=options["seed"],
            draws_tool_times=options["tool_times"] == "drawn",
            with_sweeps=options["report"] is not None,
            with_ablations=options["ablations"],
            with_evidence=options["evidence"],
        )
        progress = Progress(self.stderr.write)
        with _file_trouble(), _lines(options["dump"]) as dump:
            document = evaluate(sets, effects, choices, dump=dump, tell=progress.tell)
            if options["report"]:
                write_report(options["report"], document, settings.BASE_DIR / "static")
        is_json = options["format"] == "json"
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) if is_json else as_text(document))

    def _effects(self, options: Mapping[str, Any]) -> Effects:
        files: list[Path] = [*options["train"], *options["test"]]
        path = options["effects"] or next(
            (beside for file in files if (beside := file.parent / EFFECTS_FILE).exists()),
            files[0].parent / EFFECTS_FILE,
        )
        try:
            return Effects.read(path)
        except FileNotFoundError as error:
            raise CommandError(
                f"There is no {path}: name the file that says what the tools do with --effects FILE.", returncode=2
            ) from error
        except (OSError, ValueError) as error:
            raise CommandError(f"{path}: {_said(error)}", returncode=2) from error

    def _sets(self, options: Mapping[str, Any]) -> list[SourceSets]:
        with _file_trouble():
            sets = read_sets(
                options["train"],
                options["test"],
                seed=options["seed"],
                sources=options["sources"],
                on_bad=self._say_bad,
            )
        if not any(each.test for each in sets):
            left_out = sum(each.left_out for each in sets)
            raise CommandError(
                f"Nothing is left to test: {left_out} sessions to test on have a task that was trained on.",
                returncode=2,
            )
        for each in sets:
            self.stderr.write(_sets_line(each))
        return sets

    def _say_bad(self, line: BadLine) -> None:
        self.stderr.write(f"{line} (skipped)")


def _sets_line(each: SourceSets) -> str:
    split = ", the same sessions given for both split by task, half of the tasks each" if each.is_split else ""
    return (
        f"{each.source}: {len(each.train)} sessions to train on, {len(each.test)} to test on{split}; "
        f"{each.left_out} left out since their task was trained on"
    )


def _said(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


@contextmanager
def _file_trouble() -> Iterator[None]:
    """A file that cannot be read or written ends the command with one line."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{error.filename}: {_said(error)}", returncode=2) from error


@contextmanager
def _lines(path: Path | None) -> Iterator[Any]:
    """Writes values to the file, a JSON line each; without a file, nowhere."""
    if path is None:
        yield lambda value: None
        return
    with path.open("w", encoding="utf-8") as file:
        yield lambda value: file.write(json.dumps(value, ensure_ascii=False) + "\n")
