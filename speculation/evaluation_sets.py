"""Which recorded sessions train and which test: files in, two sets a source out, never a task in both. Needs no database."""

import random
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speculation.traces import BadLine, TraceSession, read_lines


@dataclass(frozen=True)
class SourceSets:
    """One source's sessions. `left_out`: sessions to test on whose task was trained on."""

    source: str
    train: Sequence[TraceSession]
    test: Sequence[TraceSession]
    left_out: int = 0
    is_split: bool = False
    """True where the same sessions were given for both, so that half of their tasks train and the others test."""


def read_sets(
    train: Sequence[Path],
    test: Sequence[Path],
    *,
    seed: int,
    sources: Container[str] | None,
    on_bad: Callable[[BadLine], object],
) -> list[SourceSets]:
    """Sets of every source there is something to test of. Raises OSError where a file cannot be read."""
    training, testing = _distinct(train), _distinct(test)
    runs = {path: list(_good(path, sources, on_bad)) for path in _distinct([*training, *testing])}
    to_train = [run for path in training for run in runs[path]]
    to_test = [run for path in testing for run in runs[path]]
    return [
        _sets(source, [r for r in to_train if r.source == source], [r for r in to_test if r.source == source], seed)
        for source in sorted({run.source for run in to_test})
    ]


def _distinct(paths: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(path.resolve() for path in paths))


def _good(path: Path, sources: Container[str] | None, on_bad: Callable[[BadLine], object]) -> Iterator[TraceSession]:
    for line in read_lines(path):
        if isinstance(line, BadLine):
            on_bad(line)
        elif sources is None or line.source in sources:
            yield line


def _sets(source: str, train: list[TraceSession], test: list[TraceSession], seed: int) -> SourceSets:
    shared = {run.session_id for run in train} & {run.session_id for run in test}
    if shared:
        kept = _half_of_tasks({run.task_id for run in [*train, *test] if run.session_id in shared}, f"{seed} {source}")
        train = [run for run in train if run.task_id not in kept]
        test = [run for run in test if run.session_id not in shared or run.task_id in kept]
    trained = {run.task_id for run in train}
    allowed = [run for run in test if run.task_id not in trained]
    return SourceSets(source, train, allowed, len(test) - len(allowed), bool(shared))


def _half_of_tasks(tasks: set[str], salt: str) -> set[str]:
    """The half that tests; the larger one where they are odd."""
    ordered = sorted(tasks)
    random.Random(salt).shuffle(ordered)
    return set(ordered[len(ordered) // 2 :])
