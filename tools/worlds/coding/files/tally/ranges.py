"""Half-open ranges of numbers."""

Range = tuple[int, int]


def merge_ranges(ranges: list[Range]) -> list[Range]:
    """Sorted, with overlapping and touching ranges made one."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
