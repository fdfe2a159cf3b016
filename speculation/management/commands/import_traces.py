"""Store recorded agent runs as ended sessions, for patterns to be mined from."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from speculation import history
from speculation.management.progress import Progress
from speculation.management.tables import require_tables
from speculation.models import AgentProfile, SpeculationMode
from speculation.recorded_agents import give_tools, profile, tool_names
from speculation.traces import BadLine, Effects, TraceSession, read_lines

EFFECTS_FILE = "effects.json"


class Command(BaseCommand):
    help = (
        "Stores recorded agent runs (JSON lines, plain or gzipped) as ended sessions. Bad lines are reported and skipped; "
        "a run that is stored already is skipped. Then run `mine`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "--agent", default="", help="whose sessions they become (default: an agent named after the source)"
        )
        parser.add_argument("--limit", type=int, help="store at most this many sessions")
        parser.add_argument(
            "--effects",
            type=Path,
            help=f"what the tools do to the world (default: {EFFECTS_FILE} beside FILE; without it every call counts as a change)",
        )

    def handle(self, *, files: list[Path], agent: str, limit: int | None, effects: Path | None, **options: Any) -> None:
        require_tables()
        self.stored = self.known = self.bad = 0
        self.agents: dict[str, AgentProfile] = {}
        self.progress = Progress(self.stderr.write)
        for path in files:
            _require_readable(path)
        for path in files:
            if limit is not None and self.stored >= limit:
                break
            self._import(path, agent, limit, _effects(path, effects))
        names = ", ".join(sorted(each.name for each in self.agents.values())) or "none"
        self.stdout.write(
            f"{self.stored} sessions stored, {self.known} skipped (stored before), {self.bad} bad lines skipped. Agents: {names}."
        )

    def _import(self, path: Path, agent_name: str, limit: int | None, effects: Effects) -> None:
        for trace in self._good_lines(path):
            agent = self._agent(agent_name or trace.source)
            give_tools(agent, trace.source, tool_names([trace]) - self._had(agent), effects)
            if history.store(agent, trace, now=timezone.now()) is None:
                self.known += 1
            else:
                self.stored += 1
            self.progress.tell(f"{path}: {self.stored} sessions stored, {self.known} known")
            if limit is not None and self.stored >= limit:
                return

    def _good_lines(self, path: Path) -> Iterator[TraceSession]:
        for line in read_lines(path):
            if isinstance(line, BadLine):
                self.bad += 1
                self.stderr.write(str(line))
            else:
                yield line

    def _agent(self, name: str) -> AgentProfile:
        if name not in self.agents:
            self.agents[name] = profile(name, SpeculationMode.OFF)
        return self.agents[name]

    def _had(self, agent: AgentProfile) -> set[str]:
        return set(agent.tools.values_list("name", flat=True))


def _require_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", returncode=2) from error


def _effects(path: Path, given: Path | None) -> Effects:
    beside = path.parent / EFFECTS_FILE
    if given is None and not beside.exists():
        return Effects()
    try:
        return Effects.read(given or beside)
    except (OSError, ValueError) as error:
        raise CommandError(f"{given or beside}: {error}", returncode=2) from error
