"""Version numbers."""


def numbers_of(version: str) -> tuple[int, ...]:
    """ "1.10.2" -> (1, 10, 2)."""
    return tuple(int(part) for part in version.split("."))


def is_newer(candidate: str, installed: str) -> bool:
    """True if the candidate is a later version than the installed one."""
    return candidate > installed
