"""Processor seconds of this process and all that it started, by what they are for. Read from /proc; Linux only."""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

PROC = Path("/proc")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
MARKS: Mapping[str, str] = {
    " -Q agents ": "agents worker",
    " -Q tools ": "tools workers",
    " -Q guesses ": "guesses workers",
    "postgres": "database",
    "valkey": "broker",
}
BENCHMARK, ELSE = "benchmark", "else"


def by_class(root: int | None = None) -> dict[str, float]:
    """Seconds so far, user's and system's, of children that ended too. Servers that somebody else runs are not among them."""
    root = os.getpid() if root is None else root
    seconds: dict[str, float] = defaultdict(float)
    parents = {pid: parent for pid in _numbers() if (parent := _parent(pid)) is not None}
    for pid in parents:
        if pid == root or _descends(pid, root, parents):
            seconds[BENCHMARK if pid == root else class_of(_command_line(pid))] += _spent(pid)
    return dict(seconds)


def spent_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Seconds by class; what has not moved is left out."""
    moved = {name: after[name] - before.get(name, 0.0) for name in after}
    return {name: round(seconds, 2) for name, seconds in sorted(moved.items()) if seconds > 0.005}


def class_of(command_line: str) -> str:
    return next((name for mark, name in MARKS.items() if mark in command_line), ELSE)


def _numbers() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _descends(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    while (parent := parents.get(pid)) is not None:
        if parent == root:
            return True
        pid = parent
    return False


def _fields(pid: int) -> list[str]:
    """Of stat, after the name, which may hold anything: state, parent, ... Empty where the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int | None:
    fields = _fields(pid)
    return int(fields[1]) if fields else None


def _spent(pid: int) -> float:
    fields = _fields(pid)
    return sum(map(int, fields[11:15])) / TICKS_A_SECOND if fields else 0.0


def _command_line(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
