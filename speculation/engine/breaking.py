"""When to switch speculation off: figures in, limits in, what to open out. Pure.

Each kind counts one harm over a window. Waste and interference are worker and queue seconds, errors a share of the
speculative runs that ended, divergence, refused credentials and guesses that no worker began a count; they open when the
limit is reached. A quota opens when less than its floor is left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

LEAST_RUNS = 10
"""A share of failed runs says nothing before so many have ended."""
MOST_OPENINGS_A_DAY = 3
"""A tool whose breaker opens so often in a day needs a new decision."""


class Kind(StrEnum):
    """What is counted. PAUSE is an operator's own doing: it has no limit."""

    WASTE = "waste"
    INTERFERENCE = "interference"
    ERRORS = "errors"
    DIVERGENCE = "divergence"
    QUOTA = "quota"
    AUTH = "auth"
    UNSTARTED = "unstarted"
    PAUSE = "pause"

    @property
    def distrusts_results(self) -> bool:
        """True where what is held already may be wrong, so that it must not be served any more."""
        return self in (Kind.DIVERGENCE, Kind.AUTH)


@dataclass(frozen=True, order=True)
class Subject:
    """What a breaker switches off: one tool, one agent (by their keys), or all speculation."""

    tool: int | None = None
    agent: int | None = None

    @property
    def scope(self) -> str:
        if self.tool is not None:
            return "tool"
        return "all" if self.agent is None else "agent"


@dataclass(frozen=True)
class Limits:
    """`limit`: in the kind's own unit, above 0."""

    limit: float
    window_seconds: float
    reset_seconds: float
    enabled: bool = True


@dataclass(frozen=True)
class Figure:
    """What was measured of a subject. `of`: how many runs a count of failed ones is of; else not used."""

    subject: Subject
    amount: float
    of: int = 0


@dataclass(frozen=True)
class Trip:
    """One breaker to open. `measured`: in the unit of the limit."""

    kind: Kind
    subject: Subject
    measured: float
    limits: Limits
    reason: str


def judge(
    kind: Kind, figures: Iterable[Figure], limits: Mapping[Subject, Limits], is_open: frozenset[Subject] = frozenset()
) -> list[Trip]:
    """What to open, in the order of the figures. What is open already, or has no limits, is left as it is."""
    return [
        trip
        for figure in figures
        if figure.subject not in is_open and figure.subject in limits
        if (trip := _judge(kind, figure, limits[figure.subject])) is not None
    ]


def _judge(kind: Kind, figure: Figure, limits: Limits) -> Trip | None:
    if kind == Kind.ERRORS and figure.of < LEAST_RUNS:
        return None
    measured = figure.amount / figure.of if kind == Kind.ERRORS else figure.amount
    is_beyond = measured < limits.limit if kind == Kind.QUOTA else measured >= limits.limit
    if not is_beyond or not limits.enabled:
        return None
    return Trip(kind, figure.subject, measured, limits, _reason(kind, figure, limits))


def _reason(kind: Kind, figure: Figure, limits: Limits) -> str:
    """In an operator's words, with the figure and the limit."""
    within, amount, limit = _span(limits.window_seconds), figure.amount, limits.limit
    match kind:
        case Kind.WASTE:
            return f"wasted {_short(amount)} worker seconds in {within}, the limit is {_short(limit)}"
        case Kind.INTERFERENCE:
            return f"real calls queued {_short(amount)} seconds behind it in {within}, the limit is {_short(limit)}"
        case Kind.ERRORS:
            share = f"{amount / figure.of:.0%}".replace("%", " %")
            return f"{amount:.0f} of {figure.of} runs failed in {within} ({share}), the limit is {limit * 100:.0f} %"
        case Kind.DIVERGENCE:
            return (
                f"{_times(amount)} a second run contradicted a served result in {within}, the limit is {_short(limit)}"
            )
        case Kind.QUOTA:
            return f"{_short(amount)} of its quota left, the floor is {_short(limit)}"
        case Kind.AUTH:
            return f"its credentials were refused {_times(amount)} in {within}, the limit is {_short(limit)}"
        case Kind.UNSTARTED:
            return f"no worker began {_short(amount)} guesses in {within}, nor any after them: perhaps no worker of guesses runs"
    raise ValueError(f"{kind} has no limit")


def _short(amount: float) -> str:
    return f"{amount:.1f}".removesuffix(".0") if amount < 100 else f"{amount:.0f}"


def _times(count: float) -> str:
    return "once" if count == 1 else f"{count:.0f} times"


def _span(seconds: float) -> str:
    """`a minute`, `10 minutes`, `an hour`, `90 seconds`."""
    for name, article, unit in (("day", "a", 86_400), ("hour", "an", 3600), ("minute", "a", 60)):
        if seconds >= unit and seconds % unit == 0:
            return f"{article} {name}" if seconds == unit else f"{seconds / unit:.0f} {name}s"
    return f"{seconds:g} seconds"


def needs_review(openings: Sequence[Kind]) -> Kind | None:
    """The kind that opened too often, of one tool's openings of the last day; None where none did."""
    return next((kind for kind in Kind if kind != Kind.PAUSE and openings.count(kind) >= MOST_OPENINGS_A_DAY), None)
