"""Text in lines of a given width."""


def wrap_words(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
