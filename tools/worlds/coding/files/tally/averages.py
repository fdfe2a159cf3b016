"""Middle values."""


def median(values: list[float]) -> float:
    """The middle value, or the mean of the two middle ones where their number is even."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[-middle]) / 2


def mean(values: list[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)
