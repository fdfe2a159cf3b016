"""The demonstration: everything `up` does, three scripted agents, and pairs of sessions with and without speculation."""

import itertools
import json
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from paste_web import starting
from paste_web.demonstration import report, stage
from paste_web.demonstration.play import DemoFailed, Ended, Pair, Round
from paste_web.mcp_address import mcp_path
from paste_web.processes import ProcessEnded, Processes
from paste_web.progress import Ticker, say, step

PORTS_TO_TRY = 20


class Command(BaseCommand):
    help = "Shows PASTE: three scripted agents on real tools, each task with and without speculation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, help="default: the first free one from 8000; 0 takes any free one")
        parser.add_argument("--pairs", type=int, help="pairs of sessions: default 12, with --once one an agent")
        parser.add_argument("--once", action="store_true", help="no pages: run the pairs, print figures, end")
        parser.add_argument("--format", choices=["text", "json"], default="text", help="what --once prints at the end")

    def handle(self, *, once: bool, port: int | None, pairs: int | None, **options: Any) -> None:
        if pairs is not None and pairs < 1:
            raise CommandError("--pairs takes a whole number from 1.", returncode=2)
        starting.check_port(port)
        with starting.only_one_here(), Processes(settings.BASE_DIR, settings.PASTE_HOME / "log") as processes:
            try:
                if once:
                    self._once(processes, pairs or 3, options["format"])
                else:
                    self._live(processes, port, pairs or 12)
            except (ProcessEnded, DemoFailed) as problem:
                raise CommandError(str(problem)) from None
            except KeyboardInterrupt:
                say("Stopping.")
                if once:
                    raise

    def _once(self, processes: Processes, pairs: int, form: str) -> None:
        current = self._start(processes, leaves_one_to_approve=False)
        starting.wait_for_workers(processes)
        played = self._play(current, pairs, "", say)
        if form == "json":
            self.stdout.write(json.dumps(report.document(played)))
        else:
            for pair in played:
                self.stdout.write(report.pair_line(pair))

    def _live(self, processes: Processes, wanted: int | None, pairs: int) -> None:
        port = _choose_port(wanted)
        current = self._start(processes, leaves_one_to_approve=True)
        password, key_file = stage.make_login(), stage.make_key()
        elsewhere = stage.load_agent_elsewhere()
        address = starting.start_web(processes, "127.0.0.1", port)
        starting.wait_for_web(processes, address)
        starting.wait_for_workers(processes)
        self._tell(f"PASTE demo   {address}   user demo   password {password}   (new at each start)")
        self._tell(f"API key      {key_file}   (file, mode 600)")
        self._tell(f"MCP          {address.rstrip('/')}{mcp_path(elsewhere.name)}   (with that key; lines for clients: {address}connect/)")
        self._play(current, pairs, address, self._tell)
        self._tell(f"{pairs} pairs done. The pages stay at {address}; Ctrl-C stops everything.")
        while True:
            processes.check()
            time.sleep(0.2)

    def _start(self, processes: Processes, leaves_one_to_approve: bool) -> Round:
        starting.prepare()
        library_port = starting.free_port()
        stage.set_variables(library_port)
        processes.start(stage.library(library_port))
        agents = stage.load_agents(leaves_one_to_approve)
        current = Round(agents, processes)
        current.cancel_leftovers()
        starting.start_workers(processes)
        with step("Library", says_done=False):
            starting.wait_until(lambda: _answers(library_port), processes, "the demo's library")
        return current

    def _play(self, current: Round, pairs: int, address: str, tell: Callable[[str], None]) -> list[Pair]:
        rounds = -(-pairs // len(current.agents))
        if current.make_room(rounds):
            tell("Every demo task has been learned from: forgetting what the demo agents learned, starting over.")
        self._learn(current, tell)
        played = []
        agents = itertools.islice(itertools.cycle(current.agents), pairs)
        for number, agent in enumerate(agents):
            arms = ("on", "off") if number % 2 == 0 else ("off", "on")
            played.append(self._pair(current, agent, arms, address, tell))
        return played

    def _learn(self, current: Round, tell: Callable[[str], None]) -> None:
        started = time.monotonic()
        with Ticker() as ticker:
            sessions, patterns = current.learn(
                lambda ended, of, patterns: ticker.tick(f"Learning     {ended} of {of} sessions ended, {patterns} patterns")
            )
        after = f"{sessions} sessions without speculation, {time.monotonic() - started:.0f} s" if sessions else "earlier"
        tell(f"Learning     {len(current.agents)} agents, {patterns} patterns from {after}")

    def _pair(
        self, current: Round, agent: Any, arms: tuple[str, str], address: str, tell: Callable[[str], None]
    ) -> Pair:
        with Ticker() as ticker:

            def started(arm: str) -> None:
                ticker.show(f"{agent.name:<12}   runs {'with' if arm == 'on' else 'without'} speculation")

            def ended(one: Ended) -> None:
                ticker.clear()
                tell(report.session_line(one, address))

            pair = current.play(agent, arms, started, ended)
        tell(report.pair_line(pair))
        return pair

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _choose_port(wanted: int | None) -> int:
    """The wanted one if it is free, else the first free one from 8000. Raises CommandError."""
    if wanted == 0:
        return starting.free_port()
    if wanted is not None:
        if not starting.is_free("127.0.0.1", wanted):
            raise CommandError(f"Port {wanted} is taken. Leave --port away to take the first free one.")
        return wanted
    for port in range(8000, 8000 + PORTS_TO_TRY):
        if starting.is_free("127.0.0.1", port):
            return port
    return starting.free_port()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=5, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False
