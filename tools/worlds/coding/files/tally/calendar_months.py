"""Months of different lengths."""

import calendar
from datetime import date


def add_months(day: date, months: int) -> date:
    """The same day of the month some months later, or the month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, max(day.day, last))
