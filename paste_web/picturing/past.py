"""A week of made-up sessions: most of them of the last day, with and without speculation, a few that run right now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from paste_web.picturing.agents import AGAINST, Cast
from paste_web.picturing.plots import PLOTS, Plot
from paste_web.picturing.stored import store
from paste_web.picturing.telling import Terms, tell
from speculation import learning
from speculation.models import AgentProfile, PatternRecord, Session

ARMS = ("on",) * 12 + ("holdout",) * 6 + ("shadow", "off")
SHARE_OF_LAST_DAY = 0.8
LEARNING_SESSIONS = 4
MOST_PATTERNS = 4
"""Of a tool, that name calls of it."""
RUNNING = (("research", 13.0), ("support", 7.5), ("billing", 4.2))
"""Agents whose sessions run now, and since how many seconds."""


@dataclass(frozen=True)
class Past:
    """`marked`: sessions worth looking at, by what they show."""

    cast: Cast
    now: datetime
    rng: Random

    def learn(self) -> None:
        """Some sessions without speculation, and the patterns in them."""
        for name, agent in self.cast.agents.items():
            for k in range(LEARNING_SESSIONS):
                origin = self.now - timedelta(days=8, minutes=17 * k)
                self.keep(agent, PLOTS[name](self.rng), Terms(arm="off", foreseen=0.0, stray=0.0), origin)
            learning.mine(agent)
        PatternRecord.objects.update(created_at=self.now - timedelta(days=8), updated_at=self.now - timedelta(days=8))

    def live(self, count: int) -> None:
        """`count` sessions that have ended; one in sixteen has failed."""
        for k in range(count):
            name = self.rng.choice(list(PLOTS))
            breaks_off = 3 if self.rng.random() < 1 / 16 else None
            terms = Terms(arm=self.rng.choice(ARMS), breaks_off_after=breaks_off)
            self.keep(self.cast.agents[name], PLOTS[name](self.rng), terms, self.some_time_ago(k))

    def some_time_ago(self, k: int) -> datetime:
        days = 1.0 if k == 0 or self.rng.random() < SHARE_OF_LAST_DAY else 6.8
        return self.now - timedelta(seconds=90) - timedelta(days=days) * self.rng.random()

    def keep(
        self, agent: AgentProfile, plot: Plot, terms: Terms, origin: datetime, until: float | None = None, **fields: Any
    ) -> Session:
        """One session, as far as it had come `until` seconds after its start."""
        terms = replace(
            terms,
            model=agent.model or "scripted",
            is_scripted=agent.is_scripted,
            against=AGAINST,
            patterns=self.patterns(agent),
            origin_ms=int(origin.timestamp() * 1000),
        )
        lines = [line for line in tell(plot, terms, self.rng) if until is None or line.at <= until]
        tools: Mapping[str, Any] = {tool.name: tool for tool in agent.tools.all()}
        about = {"task": plot.task, "arm": terms.arm, "model_name": terms.model, **fields}
        session = store(agent, tools, lines, origin, **about)
        if session.has_ended:
            learning.record_outcomes(session)
        return session

    def patterns(self, agent: AgentProfile) -> dict[str, list[int]]:
        """The ids of each tool's best patterns."""
        found: dict[str, list[int]] = {}
        for row in PatternRecord.objects.filter(agent=agent).exclude(tool="").order_by("-support", "pk"):
            found.setdefault(row.tool, []).append(row.pk)
        return {tool: ids[:MOST_PATTERNS] for tool, ids in found.items()}

    def pair(self) -> tuple[Session, Session]:
        """The same support task without and with speculation."""
        agent, plot = self.cast.agents["support"], PLOTS["support"](self.rng)
        earlier, later = (self.now - timedelta(minutes=minutes) for minutes in (9, 7))
        without = self.keep(agent, plot, Terms(arm="off", foreseen=0.0, stray=0.0), earlier, speculation="off")
        with_it = self.keep(agent, plot, Terms(foreseen=0.9, stray=0.8), later, speculation="on", pair=without)
        Session.objects.filter(pk=without.pk).update(pair=with_it)
        without.refresh_from_db()
        return without, with_it

    def marked(self) -> Iterator[tuple[str, Session]]:
        """Sessions worth a picture of their own, by what they show."""
        without, with_it = self.pair()
        yield from (("off", without), ("on", with_it))
        agents, ago = self.cast.agents, self.now - timedelta(minutes=4)
        yield "holdout", self.keep(agents["support"], PLOTS["support"](self.rng), Terms(arm="holdout"), ago)
        yield "failed", self.keep(agents["coding"], PLOTS["coding"](self.rng), Terms(breaks_off_after=3), ago)
        for name, seconds in RUNNING:
            origin = self.now - timedelta(seconds=seconds)
            terms = Terms(foreseen=0.9, stray=0.9)
            yield f"running {name}", self.keep(agents[name], PLOTS[name](self.rng), terms, origin, until=seconds)
        yield "queued", queued(agents["support"], PLOTS["support"](self.rng).task, self.now)


def queued(agent: AgentProfile, task: str, now: datetime) -> Session:
    """Submitted, and not begun."""
    return Session.objects.create(agent=agent, task=task, created_at=now)
