"""What a run of `benchmark` is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Choices:
    """`events`: of the largest mining; `patterns`: sizes of the predictors; `predictions`: timed in each run."""

    events: int = 100_000
    patterns: Sequence[int] = (1_000, 10_000, 100_000)
    predictions: int = 2_000
    repeats: int = 3
    seed: int = 1
    recorded: Sequence[tuple[Path, str]] = ()
    """Files and, of each, a source whose recorded sessions are mined too."""
    max_rows: Sequence[int] = (2_000, 20_000)
    """Bounds of the miner's rows that are compared."""
