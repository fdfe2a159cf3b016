"""Counting words."""

from collections import Counter


def top_words(text: str, count: int) -> list[str]:
    """The most frequent words, most frequent first; equally frequent ones in the order of the alphabet."""
    counted = Counter(text.lower().split())
    ranked = sorted(counted.items(), key=lambda pair: -pair[1])
    return [word for word, _ in ranked[:count]]
