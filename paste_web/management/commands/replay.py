"""Re-live recorded sessions of real agents, with and without speculation, on real workers."""

import json
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from paste_web import starting
from paste_web.processes import ProcessEnded, Processes, agents_worker, guesses_worker, tools_worker
from paste_web.progress import say, step
from speculation.models import Arm, EventRecord, WorkerPool
from speculation.replay_figures import Compared, Lived, read_arm, summarise
from speculation.replaying import Choice, Pair, Replay, choose, make_pairs, prepare
from speculation.toolbox import POOL
from speculation.traces import Effects

LOOK_EVERY_SECONDS = 0.1
SAY_EVERY_SECONDS = 5.0
SLOTS_PER_PAIR = 4


class Command(BaseCommand):
    help = (
        "Runs recorded sessions (JSON lines, plain or gzipped) again through the real loop, scheduler, broker and workers, "
        "each without and with speculation, and says what speculation hid. A file given for both is split by task."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--train", nargs="+", type=Path, required=True, metavar="FILE")
        parser.add_argument("--test", nargs="+", type=Path, required=True, metavar="FILE")
        parser.add_argument(
            "--effects", type=Path, help="what the tools do (default: effects.json beside the first FILE)"
        )
        parser.add_argument("--sessions", type=int, default=20, help="to test on, a source (default 20)")
        parser.add_argument(
            "--time-scale", type=float, default=5.0, help="how many times as fast as recorded (default 5)"
        )
        parser.add_argument("--parallel", type=int, default=5, help="pairs at a time (default 5)")
        parser.add_argument("--seed", type=int, default=1, help="draws the tasks, sessions and unrecorded durations")
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--workers", choices=["own", "external"], default="own", help="external: those that already run"
        )

    def handle(self, **options: Any) -> None:
        for name in ("sessions", "time_scale", "parallel"):
            if options[name] <= 0:
                raise CommandError(f"--{name.replace('_', '-')} must be above 0.", returncode=2)
        choices, effects = self._read(options)
        with ExitStack() as stack:
            try:
                processes = self._start(stack, options)
                document = self._replay(processes, choices, effects, options)
            except ProcessEnded as problem:
                raise CommandError(str(problem)) from None
            except KeyboardInterrupt:
                raise CommandError("Stopped.", returncode=130) from None
        self.stdout.write(json.dumps(document, indent=2) if options["format"] == "json" else as_text(document))
        if not document["answers_equal"]:
            raise CommandError("Some answers were not those of the recording.")

    def _read(self, options: dict[str, Any]) -> tuple[list[Choice], Effects]:
        files: list[Path] = [*options["train"], *options["test"]]
        try:
            effects = Effects.read(options["effects"] or files[0].parent / "effects.json")
            with step("Reading", says_done=False):
                choices = choose(
                    options["train"],
                    options["test"],
                    sessions=options["sessions"],
                    seed=options["seed"],
                    on_bad=say_bad,
                )
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", returncode=2) from error
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        if not any(choice.test for choice in choices):
            raise CommandError("Every task to test on was trained on: nothing is left to test.", returncode=2)
        return choices, effects

    def _start(self, stack: ExitStack, options: dict[str, Any]) -> Processes:
        """Workers of our own with a slot for each guess, unless others run. The pool's size is put back at the end."""
        processes = Processes(settings.BASE_DIR, settings.PASTE_HOME / "log")
        if options["workers"] == "external":
            return processes
        stack.enter_context(starting.only_one_here())
        starting.prepare_tables()
        slots = 2 + options["parallel"] * SLOTS_PER_PAIR
        before = WorkerPool.objects.get(name=POOL)
        stack.callback(
            lambda: WorkerPool.objects.filter(name=POOL).update(slots=before.slots, reserved=before.reserved)
        )
        WorkerPool.objects.filter(name=POOL).update(slots=slots, reserved=options["parallel"])
        stack.enter_context(processes)
        processes.start(tools_worker(slots))
        processes.start(guesses_worker(slots))
        # what is replayed is how calls overlap, however busy this machine is
        unresting = {"PASTE_REST_ABOVE_PERCENT": "100"}
        processes.start(replace(agents_worker(), environment=unresting))
        starting.wait_for_workers(processes)
        return processes

    def _replay(
        self, processes: Processes, choices: Sequence[Choice], effects: Effects, options: dict[str, Any]
    ) -> dict[str, Any]:
        scale, seed = options["time_scale"], options["seed"]
        pairs: dict[str, list[Pair]] = {}
        for choice in choices:
            with step(f"Mining {len(choice.train)} sessions of {choice.source}"):
                agent = prepare(choice, effects, time_scale=scale)
            pairs[choice.source] = make_pairs(agent, choice, effects, seed=seed, time_scale=scale)
        run([pair for each in pairs.values() for pair in each], processes, options["parallel"])
        sources = [
            summarise(choice.source, len(choice.train), [compare(pair, effects) for pair in pairs[choice.source]])
            for choice in choices
        ]
        return {
            "time_scale": scale,
            "seed": seed,
            "parallel": options["parallel"],
            "sources": sources,
            "answers_equal": all(source["answers_equal"] for source in sources),
        }


def say_bad(line: object) -> None:
    say(str(line))


def run(pairs: Sequence[Pair], processes: Processes, parallel: int) -> None:
    """All pairs to their end, with a line every few seconds."""
    replay = Replay(pairs, settings.PASTE_WORLDS / "replay" / str(time.time_ns()), parallel=parallel)
    said_at = time.monotonic()
    try:
        while not replay.is_over:
            replay.advance()
            processes.check()
            if time.monotonic() - said_at > SAY_EVERY_SECONDS:
                said_at = time.monotonic()
                say(f"{len(replay.done)} of {len(pairs)} sessions lived twice")
            time.sleep(LOOK_EVERY_SECONDS)
    finally:
        replay.abandon()
        replay.remove_worlds()


def compare(pair: Pair, effects: Effects) -> Compared:
    """What the event logs of both arms say."""
    return Compared(pair.trace.session_id, _read_arm(pair, Arm.OFF, effects), _read_arm(pair, Arm.ON, effects))


def _read_arm(pair: Pair, arm: Arm, effects: Effects) -> Lived:
    session = pair.sessions[arm]
    log = EventRecord.objects.filter(session=session).order_by("seq")
    tools = {call["tool"] for turn in pair.recording["turns"] for call in turn["calls"]}
    local = frozenset(tool for tool in tools if effects.of_tool(pair.trace.source, tool).kind == "local")
    return read_arm(str(session.pk), log, pair.recording, local)


def as_text(document: dict[str, Any]) -> str:
    """A line a source, then its worst sessions."""
    return "\n".join(line for source in document["sources"] for line in _source_lines(source))


def _source_lines(source: dict[str, Any]) -> list[str]:
    task, exposed = source["task_seconds"], source["exposed_tool_seconds"]
    reduction = (
        f"{-100 * source['exposed_reduction']:+.1f} %" if source["exposed_reduction"] is not None else "no reads"
    )
    head = (
        f"{source['source']}: {source['sessions']} sessions   task {task['off']:.1f} -> {task['on']:.1f} s   "
        f"exposed {exposed['off']:.1f} -> {exposed['on']:.1f} s ({reduction})   mean paired ratio "
        f"{source['mean_paired_ratio']}   {source['hits']} hits of {source['reads']} reads, {source['launches']} launches, "
        f"wasted {source['wasted_seconds']:.1f} s   answers {'equal' if source['answers_equal'] else 'DIFFER'}"
    )
    return [head, *(f"  {one['ratio']:.3f}  {one['recorded']}: {one['reason']}" for one in source["worst"])]
