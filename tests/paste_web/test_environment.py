import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paste_web import environment

ROOT = Path(__file__).resolve().parents[2]


def load_settings(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PASTE_", "DATABASE_URL"))}
    return subprocess.run(
        [sys.executable, "-c", "import paste_web.settings"],
        cwd=ROOT,
        env={**clean, "PASTE_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


REFUSED: list[tuple[Callable[[], object], str, str]] = [
    (lambda: environment.whole_number("SLOTS", 4, least=1), "SLOTS", "many"),
    (lambda: environment.whole_number("SLOTS", 4, least=1), "SLOTS", "0"),
    (lambda: environment.whole_number("SLOTS", 4, least=1), "SLOTS", "-3"),
    (lambda: environment.yes_or_no("DEBUG", False), "DEBUG", "perhaps"),
    (lambda: environment.number("LATENCY", 0.0), "LATENCY", "nan"),
    (lambda: environment.number("LATENCY", 0.0, most=60), "LATENCY", "1e3"),
    (lambda: environment.unit("CURRENCY", "USD"), "CURRENCY", "US 1"),
    (lambda: environment.unit("CURRENCY", "USD"), "CURRENCY", "<b>"),
    (lambda: environment.unit("CURRENCY", "USD"), "CURRENCY", "\u202eUSD"),
    (lambda: environment.unit("CURRENCY", "USD"), "CURRENCY", " "),
    (lambda: environment.unit("CURRENCY", "USD"), "CURRENCY", "doubloons"),
    (lambda: environment.url("BROKER", "", ["redis"]), "BROKER", "hunter2"),
    (lambda: environment.text("KEY"), "KEY_FILE", "/does/not/exist"),
    (lambda: environment.readable_file("SERVERS"), "SERVERS", "/does/not/exist"),
    (lambda: environment.readable_file("SERVERS"), "SERVERS", "/tmp"),
]


@pytest.mark.parametrize(("read", "name", "value"), REFUSED)
def test_a_bad_value_ends_the_program_with_one_line_that_names_it_and_keeps_the_secret(
    read: Callable[[], object],
    name: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        read()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1 and name in said and "hunter2" not in said


@pytest.mark.parametrize(
    "value", ["mysql://me:hunter2@host/name", "postgresql://me:hunter2@host:port/name", "postgresql://me:hunter2@host"]
)
def test_a_bad_database_url_is_refused_without_showing_it(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        environment.database_from_url("DATABASE_URL", value)
    said = capsys.readouterr().err
    assert "DATABASE_URL" in said and "hunter2" not in said


def test_the_settings_end_with_one_line_too(tmp_path: Path) -> None:
    done = load_settings(tmp_path, PASTE_TOOL_RESERVED="9")
    assert (done.returncode, done.stderr) == (2, "paste: PASTE_TOOL_RESERVED must be at most PASTE_TOOL_SLOTS.\n")
    done = load_settings(tmp_path, PASTE_CHAIN_DEPTH="4")
    assert (done.returncode, done.stderr) == (2, "paste: PASTE_CHAIN_DEPTH must be a whole number from 1 to 3.\n")


def test_good_settings_load_and_keep_a_private_secret(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert load_settings(home).returncode == 0
    secret = home / "secret-key"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_generated_secret_is_kept(tmp_path: Path) -> None:
    first = environment.kept_secret("NOT_SET", tmp_path / "secret")
    assert environment.kept_secret("NOT_SET", tmp_path / "secret") == first and len(first) > 50


def test_all_who_start_at_once_have_the_same_new_secret(tmp_path: Path) -> None:
    """Each of a hundred homes is new to eight of them; nobody finds a file that is made and not written yet."""
    begun = threading.Barrier(8)

    def secret_of(home: int) -> str:
        begun.wait(10)
        return environment.kept_secret("NOT_SET", tmp_path / str(home))

    with ThreadPoolExecutor(8) as starting:
        for home in range(100):
            assert len(set(starting.map(secret_of, [home] * 8))) == 1
    assert len(list(tmp_path.iterdir())) == 100, "what the losers wrote is gone"


def test_a_home_that_takes_no_secret_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="2"):
        environment.kept_secret("PASTE_X", tmp_path / "file" / "secret")
    assert capsys.readouterr().err == f"paste: PASTE_X must be set: {tmp_path}/file/secret cannot be made (Not a directory).\n"


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from the file\n")
    monkeypatch.setenv("PASTE_LLM_KEY_FILE", str(tmp_path / "key"))
    assert environment.text("PASTE_LLM_KEY") == "from the file"
    monkeypatch.setenv("PASTE_LLM_KEY", "from the variable")
    assert environment.text("PASTE_LLM_KEY") == "from the variable"


def test_a_database_url_carries_quoted_passwords_sockets_and_options() -> None:
    entry = environment.database_from_url("DATABASE_URL", "postgresql://a%40b:p%2Fw@db:5433/name?sslmode=require")
    assert (entry["USER"], entry["PASSWORD"], entry["HOST"], entry["PORT"]) == ("a@b", "p/w", "db", "5433")
    assert entry["OPTIONS"] == {"sslmode": "require"}
    by_socket = environment.database_from_url("DATABASE_URL", "postgresql://paste@/paste?host=%2Ftmp%2Fx")
    assert (by_socket["HOST"], by_socket["OPTIONS"]) == ("/tmp/x", {})
