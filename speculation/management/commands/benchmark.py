"""Measure what the engine costs on this machine: mining, predicting, observing."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from speculation.benchmark_choices import Choices
from speculation.benchmark_mining import EFFECTS_FILE, effects_beside
from speculation.benchmarking import SECTIONS, as_text, benchmark
from speculation.traces import BadLine, read_lines

FORMATS = ("table", "json")
DEFAULTS = Choices()


class Command(BaseCommand):
    help = (
        "Measures on one core, with made-up sessions, how fast the engine mines, predicts and observes, how that grows, and "
        "what memory it takes. Prints its method and its controls. Needs no database and no broker. docs/performance.md "
        "explains the figures."
    )
    requires_system_checks: Sequence[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--sections", default=",".join(SECTIONS), metavar="NAME,...", help=f"of {', '.join(SECTIONS)}"
        )
        parser.add_argument(
            "--events", default=DEFAULTS.events, metavar="N", help="of the largest mining (default 100000)"
        )
        parser.add_argument(
            "--patterns",
            default=",".join(map(str, DEFAULTS.patterns)),
            metavar="N,...",
            help="sizes of the predictors (default 1000,10000,100000)",
        )
        parser.add_argument(
            "--predictions", default=DEFAULTS.predictions, metavar="N", help="timed in each run (default 2000)"
        )
        parser.add_argument("--repeats", default=DEFAULTS.repeats, metavar="N", help="runs of everything (default 3)")
        parser.add_argument("--seed", default=DEFAULTS.seed, metavar="S", help="of the made-up sessions (default 1)")
        parser.add_argument(
            "--recorded",
            nargs="+",
            type=Path,
            default=[],
            metavar="FILE",
            help="recorded sessions to mine, once through",
        )
        parser.add_argument("--format", default=FORMATS[0], metavar="table|json")

    def handle(self, **options: Any) -> None:
        is_json = _one_of(FORMATS, "--format", options["format"]) == "json"
        sections = [_one_of(SECTIONS, "--sections", name) for name in options["sections"].split(",")]
        choices = _choices(options, self.stderr.write)
        document = benchmark(sections, choices, self.stderr.write)
        self.stdout.write(json.dumps(document, indent=2) if is_json else as_text(document))


def _choices(options: Mapping[str, Any], say: Callable[[str], object]) -> Choices:
    return Choices(
        events=_whole("--events", options["events"]),
        patterns=[_whole("--patterns", each) for each in str(options["patterns"]).split(",")],
        predictions=_whole("--predictions", options["predictions"]),
        repeats=_whole("--repeats", options["repeats"]),
        seed=_whole("--seed", options["seed"], least=0),
        recorded=[each for path in options["recorded"] for each in _sources(path, say)],
    )


def _one_of(known: Sequence[str] | Mapping[str, Any], option: str, name: str) -> str:
    if name not in known:
        raise CommandError(f"{option}: there is no {name!r}, only {', '.join(known)}.", returncode=2)
    return name


def _whole(option: str, given: Any, least: int = 1) -> int:
    try:
        number = int(given)
    except ValueError:
        number = least - 1
    if number < least:
        raise CommandError(f"{option} takes whole numbers from {least}, not {given!r}.", returncode=2)
    return number


def _sources(path: Path, say: Callable[[str], object]) -> list[tuple[Path, str]]:
    """The file with each source it has sessions of. Bad lines are said and skipped."""
    try:
        effects_beside(path)
        lines = list(read_lines(path))
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}", returncode=2) from error
    except ValueError as error:
        raise CommandError(f"{path.parent / EFFECTS_FILE}: {error}", returncode=2) from error
    for line in lines:
        if isinstance(line, BadLine):
            say(f"{line} (skipped)")
    sources = sorted({line.source for line in lines if not isinstance(line, BadLine)})
    if not sources:
        raise CommandError(f"{path} has no recorded session.", returncode=2)
    return [(path, source) for source in sources]
