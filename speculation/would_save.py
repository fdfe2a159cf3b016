"""What approving a tool would save, as its shadow says: the mean a session, and what it is at least. Pure; seconds.

A session in which nothing would have been hidden counts as 0, so the mean is over every session that predicted.
"""

from dataclasses import dataclass
from math import sqrt

_STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom."""


@dataclass(frozen=True)
class WouldSave:
    """`sessions`: so many predicted. `least_seconds`: the lower end of the mean's 95 % interval, at least 0."""

    sessions: int
    mean_seconds: float
    least_seconds: float
    sessions_a_day: float

    @property
    def least_a_day_seconds(self) -> float:
        return self.least_seconds * self.sessions_a_day


NOTHING = WouldSave(0, 0.0, 0.0, 0.0)


def would_save(sum_seconds: float, sum_of_squares: float, sessions: int, days: float) -> WouldSave:
    """From the sums over `sessions` sessions of `days` days. With one session alone, at least nothing."""
    if sessions < 1:
        return NOTHING
    mean = sum_seconds / sessions
    least = 0.0
    if sessions > 1:
        variance = max(0.0, sum_of_squares - sessions * mean * mean) / (sessions - 1)
        least = max(0.0, mean - student(sessions - 1) * sqrt(variance / sessions))
    return WouldSave(sessions, mean, least, sessions / days)


def student(degrees: int) -> float:
    """The two-sided 95 % quantile, to about 1 %."""
    return _STUDENT[degrees - 1] if degrees <= len(_STUDENT) else 1.96 + 2.5 / degrees
