"""File names."""


def extension(name: str) -> str:
    """What follows the last dot, in lower case; empty without a dot."""
    return name.split(".")[1].lower() if "." in name else ""
