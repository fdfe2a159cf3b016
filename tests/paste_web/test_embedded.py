import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import psycopg.conninfo
import pytest
import redis
from django.db import connection

from paste_web import child, embedded
from paste_web.postgres_server import ServerError, choose_programs, find_programs, start_postgres

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from paste_web import embedded
with embedded.servers(Path(sys.argv[1]), is_throwaway=True) as addresses:
    print(addresses.database_url, addresses.broker_url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One cluster for all tests here: each start after the first takes a fraction of a second."""
    folder = Path(tempfile.mkdtemp(prefix="paste-home-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def hold(home: Path) -> subprocess.Popen[str]:
    """Another program that uses the servers until its standard input closes."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def server_processes(home: Path) -> list[psutil.Process]:
    """Everything that runs on the home's data, and its broker."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if any(str(home) in word for word in words) and "-c" not in words[1:2]:
            found.append(process)
    return found


def wait_until_gone(home: Path, timeout_seconds: float = 15) -> list[psutil.Process]:
    deadline = time.monotonic() + timeout_seconds
    while (left := server_processes(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def is_listening(broker_url: str) -> bool:
    with redis.Redis.from_url(broker_url, socket_timeout=2) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def test_the_test_database_is_a_real_postgresql(database_url: str) -> None:
    with psycopg.connect(database_url) as session:
        assert session.info.server_version >= 150000


@pytest.mark.django_db
def test_django_uses_the_same_test_database(database_url: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == (psycopg.conninfo.conninfo_to_dict(database_url)["dbname"],)


def test_the_test_broker_is_a_real_one(broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as client:
        assert client.set("key", "value") and client.get("key") == b"value"


def test_what_was_stored_survives_a_stop_and_a_second_start(home: Path) -> None:
    with embedded.servers(home) as first, psycopg.connect(first.database_url) as session:
        session.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS answer")
    assert server_processes(home) == []
    assert embedded.running(home) is None
    with embedded.servers(home) as second, psycopg.connect(second.database_url) as session:
        assert session.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_second_user_shares_the_servers_and_leaves_them_running(home: Path) -> None:
    with embedded.servers(home) as addresses:
        other = hold(home)
        assert other.stdout and other.stdout.readline().split() == [addresses.database_url, addresses.broker_url]
        other.communicate(timeout=30)
        assert embedded.running(home) == addresses
        assert psycopg.connect(addresses.database_url).close() is None
        assert is_listening(addresses.broker_url)
    assert not is_listening(addresses.broker_url)


def test_two_starts_at_once_start_one_pair_of_servers(home: Path) -> None:
    starts = [hold(home) for _ in range(2)]
    said = [start.stdout.readline() for start in starts if start.stdout]
    assert said[0] == said[1] and said[0].startswith("postgresql://")
    assert len([process for process in server_processes(home) if "-D" in process.cmdline()]) == 1
    for start in starts:
        start.communicate(timeout=30)
    assert server_processes(home) == []


def test_a_start_while_another_stops_waits_until_that_has_ended(home: Path) -> None:
    (home / "run").mkdir(exist_ok=True)
    owner = embedded.try_lock(home / "run" / "owner.lock", fcntl.LOCK_EX)
    assert owner is not None
    ending = threading.Timer(1.0, os.close, [owner])
    ending.start()
    with embedded.servers(home) as addresses:
        assert not ending.is_alive()
        assert is_listening(addresses.broker_url)


def test_servers_that_never_end_to_stop_are_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "WAIT_FOR_ANOTHER_START_SECONDS", 0.2)
    owner = embedded.try_lock(home / "run" / "owner.lock", fcntl.LOCK_EX)
    assert owner is not None
    with pytest.raises(ServerError, match="have been stopping"), embedded.servers(home):
        pass
    os.close(owner)


def test_a_killed_owner_leaves_no_orphans_and_the_next_start_works(home: Path) -> None:
    with embedded.servers(home) as addresses, psycopg.connect(addresses.database_url) as session:
        session.execute("DROP TABLE IF EXISTS written; CREATE TABLE written (line int)")
    owner = hold(home)
    assert owner.stdout
    database_url, broker_url = owner.stdout.readline().split()
    with psycopg.connect(database_url) as session:
        session.execute("INSERT INTO written VALUES (1)")
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert embedded.running(home) is None
    with embedded.servers(home) as again, psycopg.connect(again.database_url) as session:
        assert session.execute("SELECT line FROM written").fetchall() == [(1,)]
    assert wait_until_gone(home) == []
    assert not is_listening(broker_url)


def test_a_killed_server_is_started_again(home: Path) -> None:
    """kill -9 of the postmaster leaves its pid file, its socket and, for a moment, processes that hold its memory."""
    with embedded.servers(home):
        postmaster = int(next((home / "data").glob("*/postmaster.pid")).read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
    with embedded.servers(home) as again, psycopg.connect(again.database_url) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_pid_file_that_names_a_stranger_is_removed_and_the_stranger_lives(home: Path) -> None:
    data = next((home / "data").glob("postgres-*"))
    stranger = subprocess.Popen(["sleep", "60"])
    (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1\n5432\n{home / 'run'}\n\n  1 1\nready\n")
    with embedded.servers(home) as addresses:
        psycopg.connect(addresses.database_url).close()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_an_interrupted_first_start_is_not_taken_for_a_cluster() -> None:
    with tempfile.TemporaryDirectory(prefix="paste-home-", dir="/tmp") as folder:
        major = choose_programs(Path(folder) / "data")[0].major
        half_made = Path(folder) / "data" / f"postgres-{major}.new"
        half_made.mkdir(parents=True)
        (half_made / "PG_VERSION").write_text(str(major))
        with embedded.servers(Path(folder), is_throwaway=True) as addresses:
            psycopg.connect(addresses.database_url).close()


def test_a_deep_home_gets_a_short_socket_path() -> None:
    with tempfile.TemporaryDirectory(prefix="paste-home-", dir="/tmp") as folder:
        deep = Path(folder) / ("deep-" * 12) / ("deeper-" * 8)
        with embedded.servers(deep, is_throwaway=True) as addresses:
            socket_folder = psycopg.conninfo.conninfo_to_dict(addresses.database_url)["host"]
            psycopg.connect(addresses.database_url).close()
            assert len(str(socket_folder)) < 80
        assert not Path(str(socket_folder)).exists()


def test_run_files_are_private(home: Path) -> None:
    with embedded.servers(home):
        assert (home / "run" / "servers.json").stat().st_mode & 0o777 == 0o600
        assert (home / "run").stat().st_mode & 0o777 == 0o700


def test_the_brokers_password_is_in_no_process_list(home: Path) -> None:
    with embedded.servers(home) as addresses:
        password = addresses.broker_url.split(":")[2].split("@")[0]
        assert len(password) > 20
        assert not any(password in " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))


def test_data_of_a_version_that_is_not_installed_is_refused_with_the_way_out() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "postgres-9").mkdir()
        with pytest.raises(ServerError, match=r"PostgreSQL 9.*PASTE_POSTGRES_BIN"):
            choose_programs(Path(folder))


def test_a_leftover_run_file_is_not_believed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "run").mkdir()
        (Path(folder) / "run" / "servers.json").write_text(json.dumps({"database_url": "a", "broker_url": "b"}))
        (Path(folder) / "run" / "owner.lock").touch()
        assert embedded.running(Path(folder)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_without_user_namespaces_runs_it_as_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(child, "identities_without_root", lambda: [child.AS_NOBODY])
    usable = [programs for programs in find_programs() if child.can_run(programs.folder / "postgres", child.AS_NOBODY)]
    if not usable:
        pytest.skip("no PostgreSQL here that the user nobody can read")
    tmp_path.chmod(0o700)
    server = start_postgres(tmp_path, tmp_path / "postgres.log", is_throwaway=True)
    try:
        assert psutil.Process(server.process.pid).uids().real == child.NOBODY
        with psycopg.connect(server.url) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
        shutil.rmtree(server.socket_folder.parent if not server.owns_socket_folder else server.socket_folder)
