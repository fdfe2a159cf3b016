"""Measure what the product costs on this machine: its engine alone, and calls and sessions through real workers."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from paste_web.benchmarks import names
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.live import LIVE_SECTIONS, measure_live
from paste_web.processes import ProcessEnded
from speculation.benchmark_choices import Choices
from speculation.benchmark_mining import EFFECTS_FILE, effects_beside
from speculation.benchmarking import SECTIONS, as_text, benchmark
from speculation.traces import BadLine, read_lines

FORMATS = ("table", "json")
DEFAULTS = Choices()
LIVE_DEFAULTS = LiveChoices()
ENGINE_OPTIONS = {
    "events": "of the largest mining",
    "patterns": "sizes of the predictors",
    "predictions": "timed in each run",
    "repeats": "runs of everything",
}
LIVE_OPTIONS = {
    "calls": "call, mcp: timed of each kind, in call at each level",
    "levels": "call: concurrent sessions",
    "concurrent": "throughput: concurrent sessions",
    "seconds": "throughput: of each arm of each level",
    "pairs": "harm: interleaved blocks of each arm",
    "sessions": "harm: that arrive in a block",
    "session_calls": "throughput, harm: of one session",
    "slots": "harm: of the pool, of which real calls use 70 %",
    "rounds": "throttle: tasks of each demo agent at each level",
    "throttles": "throttle: percent of the guesses worth running that are not run",
    "speed": "throttle: times as fast as the demo",
    "preemptions": "preemption: of each kind of tool",
    "loads": "pages: of each page, and a quarter as many of a long session",
    "long_calls": "pages: of the long session",
    "keys": "pages: pressed of each kind on the long session",
    "watched": "pages: sessions that run and are watched, ten events a second each (the budget: 50)",
    "viewers": "pages: who watch them (the budget: 20)",
    "watch_seconds": "pages: how long they are watched",
}
"""By field of LiveChoices: the section and what it is."""
MOST = 10**12
LIMITS: Mapping[str, Mapping[str, int]] = {"throttles": {"least": 0, "most": 100}, "slots": {"least": 2}}


class Command(BaseCommand):
    help = (
        "Without a name: mining, predict, observe (the engine on one core, with made-up sessions; no server is needed), call "
        "(the cost of a call through us beside the bare call) and preemption; about ten minutes. By name alone: mcp (a minute), throughput "
        "(about ten minutes), throttle (about fifteen), harm (about three quarters of an hour), pages (two minutes, with a "
        "Chromium). All but the engine's use workers or servers of their own. Each prints its method and its controls; docs/performance.md explains the figures."
    )
    requires_system_checks: Sequence[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        known = ", ".join([*names.ENGINE, *names.LIVE])
        parser.add_argument("section", nargs="*", default=[], help=f"of {known} (default {', '.join(names.DEFAULT)})")
        for name, text in ENGINE_OPTIONS.items():
            _add_number(parser, name, getattr(DEFAULTS, name), text)
        for name, text in LIVE_OPTIONS.items():
            _add_number(parser, name, getattr(LIVE_DEFAULTS, name), text)
        parser.add_argument("--seed", default=DEFAULTS.seed, metavar="S", help="of all that is drawn (default 1)")
        parser.add_argument(
            "--recorded",
            nargs="+",
            type=Path,
            default=[],
            metavar="FILE",
            help="mining: recorded sessions, once through",
        )
        parser.add_argument("--format", default=FORMATS[0], metavar="table|json")

    def handle(self, **options: Any) -> None:
        is_json = _one_of(FORMATS, "--format", options["format"]) == "json"
        wanted = [
            _one_of((*names.ENGINE, *names.LIVE), "benchmark", name) for name in options["section"]
        ] or names.DEFAULT
        engine, live = ([name for name in known if name in wanted] for known in (SECTIONS, LIVE_SECTIONS))
        choices, live_choices = _choices(options, self.stderr.write), _live_choices(options)
        document: dict[str, Any] = benchmark(engine, choices, self.stderr.write) if engine else {"sections": {}}
        shown = [as_text(document)] if engine else []
        try:
            measured = measure_live(live, live_choices, self.stderr.write)
        except ProcessEnded as problem:
            raise CommandError(str(problem)) from None
        document["sections"] |= measured
        shown += [f"{name}\n{LIVE_SECTIONS[name].show(section)}" for name, section in measured.items()]
        self.stdout.write(json.dumps(document, indent=2) if is_json else "\n\n".join(shown))


def _add_number(parser: ArgumentParser, name: str, default: Any, text: str) -> None:
    """One whole number or several; checked later, so that what is wrong is told in one line."""
    is_list = not isinstance(default, int)
    shown = ",".join(map(str, default)) if is_list else default
    metavar = "N,..." if is_list else "N"
    parser.add_argument(_option(name), default=shown, metavar=metavar, help=f"{text} (default {shown})".replace("%", "%%"))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _live_choices(options: Mapping[str, Any]) -> LiveChoices:
    """Of the options alone; what has no option keeps its default."""
    given: dict[str, Any] = {
        name: _several(_option(name), options[name], **LIMITS.get(name, {}))
        if isinstance(getattr(LIVE_DEFAULTS, name), tuple)
        else _whole(_option(name), options[name], **LIMITS.get(name, {}))
        for name in LIVE_OPTIONS
    }
    return LiveChoices(**given, seed=_whole("--seed", options["seed"], least=0))


def _several(option: str, given: Any, least: int = 1, most: int = MOST) -> list[int]:
    return [_whole(option, each, least, most) for each in str(given).split(",")]


def _choices(options: Mapping[str, Any], say: Callable[[str], object]) -> Choices:
    return Choices(
        events=_whole("--events", options["events"]),
        patterns=_several("--patterns", options["patterns"]),
        predictions=_whole("--predictions", options["predictions"]),
        repeats=_whole("--repeats", options["repeats"]),
        seed=_whole("--seed", options["seed"], least=0),
        recorded=[each for path in options["recorded"] for each in _sources(path, say)],
    )


def _one_of(known: Sequence[str] | Mapping[str, Any], option: str, name: str) -> str:
    if name not in known:
        raise CommandError(f"{option}: there is no {name!r}, only {', '.join(known)}.", returncode=2)
    return name


def _whole(option: str, given: Any, least: int = 1, most: int = MOST) -> int:
    try:
        number = int(given)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        upper = "" if most == MOST else f" to {most}"
        raise CommandError(f"{option} takes whole numbers from {least}{upper}, not {given!r}.", returncode=2)
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
