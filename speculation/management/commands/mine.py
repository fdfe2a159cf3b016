"""Learn patterns from every ended session that nobody has learned from yet."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from speculation import learning
from speculation.management.progress import Progress
from speculation.management.tables import require_tables
from speculation.models import AgentProfile, PatternRecord


class Command(BaseCommand):
    help = "Mines all ended sessions that were not mined yet into their agents' patterns. Replays are never mined."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agent", help="only this agent's sessions")

    def handle(self, *, agent: str | None, **options: Any) -> None:
        require_tables()
        agents = AgentProfile.objects.filter(name=agent) if agent else AgentProfile.objects.all()
        if agent and not agents:
            known = ", ".join(AgentProfile.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no agent {agent!r}. There are: {known}.", returncode=2)
        for one in agents:
            self._mine(one)

    def _mine(self, agent: AgentProfile) -> None:
        waiting = learning.unmined(agent).count()
        progress = Progress(self.stderr.write)
        done = learning.mine(agent, lambda read: progress.tell(f"{agent.name}: {read} of {waiting} sessions read"))
        patterns = PatternRecord.objects.filter(agent=agent).count()
        self.stdout.write(f"{agent.name}: {done} sessions mined, {patterns} patterns.")
