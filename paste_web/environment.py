"""Read settings from environment variables. Whatever cannot be used ends the program with one readable line.

Every reader takes the name of a variable; `NAME_FILE` names a file that holds the value instead (for secrets).
"""

import os
import secrets
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

EXIT_BAD_SETTING = 2


def refuse(name: str, expected: str) -> NoReturn:
    """One line on standard error, exit code 2. The value is never shown: it may be a secret."""
    print(f"paste: {name} must be {expected}.", file=sys.stderr)
    sys.exit(EXIT_BAD_SETTING)


def text(name: str, default: str = "") -> str:
    """The variable's value, else the content of the file that NAME_FILE names, else `default`; empty counts as absent."""
    path = os.environ.get(f"{name}_FILE")
    if os.environ.get(name) or not path:
        return os.environ.get(name) or default
    try:
        return Path(path).read_text().strip() or default
    except (OSError, UnicodeDecodeError):
        refuse(f"{name}_FILE", "the path of a readable text file")


def whole_number(name: str, default: int, least: int = 0, most: int = 2**31) -> int:
    value = text(name, str(default))
    if not value.strip().isdecimal() or not least <= int(value) <= most:
        refuse(name, f"a whole number from {least} to {most}")
    return int(value)


def number(name: str, default: float, least: float = 0.0, most: float = 1e9) -> float:
    try:
        value = float(text(name, str(default)))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        refuse(name, f"a number from {least:g} to {most:g}")
    return value


def unit(name: str, default: str, most: int = 8) -> str:
    """What stands behind an amount: letters and signs of currencies, so that nothing of it reads as part of the amount."""
    value = text(name, default).strip()
    is_plain = all(sort == "Sc" or sort.startswith("L") for sort in map(unicodedata.category, value))
    if not 1 <= len(value) <= most or not is_plain:
        refuse(name, f"1 to {most} letters or signs of currencies, such as EUR")
    return value


def yes_or_no(name: str, default: bool) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    value = text(name).strip().lower()
    if value and value not in words:
        refuse(name, "1 or 0")
    return words.get(value, default)


def readable_file(name: str) -> Path | None:
    """The path of a file that can be read now; None where the variable is empty."""
    path = os.environ.get(name)
    if not path:
        return None
    if not os.access(path, os.R_OK) or not Path(path).is_file():
        refuse(name, "the path of a readable file")
    return Path(path).resolve()


def listing(name: str, default: Sequence[str] = ()) -> list[str]:
    """Values separated by commas."""
    return [part.strip() for part in text(name).split(",") if part.strip()] or list(default)


def url(name: str, default: str, schemes: Sequence[str]) -> str:
    """An address of one of `schemes`; the empty default may stay empty."""
    value = text(name, default)
    if value and not any(value.startswith(f"{scheme}://") for scheme in schemes):
        refuse(name, " or ".join(f"{scheme}://..." for scheme in schemes))
    return value


def database_from_url(name: str, value: str) -> dict[str, Any]:
    """Django's entry for a postgresql:// URL; the query's parameters become options, `host` may be a socket's folder."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        refuse(name, "postgresql://user:password@host:port/name")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        refuse(name, "postgresql://user:password@host:port/name")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "OPTIONS": options,
    }


def is_celery(program: str) -> bool:
    """Whether a process that was started as this program is one of Celery's: `celery`, or `python -m celery`."""
    path = Path(program)
    return path.name == "celery" or path.parts[-2:] == ("celery", "__main__.py")


def private_folder(name: str, default: Path) -> Path:
    """An absolute path, made with mode 700 if absent."""
    folder = Path(text(name, str(default))).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        refuse(name, "a folder that can be made or exists")
    return folder


def kept_secret(name: str, path: Path) -> str:
    """The variable's value, else what `path` holds, else a new secret that is kept there with mode 600."""
    given = text(name)
    if given:
        return given
    try:
        if not path.exists():
            _keep_new_secret(path)
    except OSError as problem:
        refuse(name, f"set: {path} cannot be made ({problem.strerror})")
    return path.read_text().strip() or refuse(name, f"set, or {path} removed: that file is empty")


def _keep_new_secret(path: Path) -> None:
    """One of those who start at once wins, and nobody finds the file before it is written."""
    written = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(50))
    try:
        os.link(written, path)
    except FileExistsError:
        pass
    finally:
        written.unlink()
