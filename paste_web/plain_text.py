"""Foreign text as it is: characters that hide or reorder others are written out."""

import unicodedata

SHOWN_AS_THEY_ARE = "\n"
HIDING_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Controls, formats (bidirectional and zero-width ones among them), unassigned ones, separators of lines."""


def reveal(text: str) -> str:
    """The text with every invisible character replaced by its number, like ⟨U+202E⟩."""
    return "".join(map(_revealed, text))


def _revealed(character: str) -> str:
    if character in SHOWN_AS_THEY_ARE or unicodedata.category(character) not in HIDING_CATEGORIES:
        return character
    return f"⟨U+{ord(character):04X}⟩"
