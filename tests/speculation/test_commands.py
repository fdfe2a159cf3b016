import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.executor import MigrationExecutor

from speculation.management.progress import Progress
from speculation.models import AgentProfile, PatternRecord, Session
from tests.speculation.test_replaying import cancel, look_up, write


def run(command: str, *arguments: Any, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(command, *map(str, arguments), stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_recorded_runs_become_sessions_of_an_agent_named_after_their_source(
    transactional_db: None, tmp_path: Path
) -> None:
    (tmp_path / "effects.json").write_text(json.dumps({"shop": {"read": ["get_user", "get_order"]}}))
    out, _ = run("import_traces", write(tmp_path / "t.jsonl", look_up(1), cancel(2)))
    assert out.startswith("2 sessions stored, 0 skipped (stored before), 0 bad lines skipped. Agents: shop.")
    agent = AgentProfile.objects.get(name="shop")
    assert (agent.model_kind, agent.mode, agent.sessions.count()) == ("recorded", "off", 2)
    effects = dict(agent.tools.values_list("name", "effect"))
    assert effects == {"get_user": "none", "get_order": "none", "cancel_order": "write"}


def test_a_bad_line_is_reported_with_its_number_and_nothing_else_is_lost(
    transactional_db: None, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.jsonl", look_up(1), look_up(2))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], '{"session_id": 1}', lines[1]]))
    out, err = run("import_traces", path)
    assert err.splitlines() == [f"{path}:2: 'session_id' is missing or not a string"]
    assert out.startswith("2 sessions stored, 0 skipped (stored before), 1 bad lines skipped.")


def test_importing_again_skips_what_is_stored_and_says_so(transactional_db: None, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", look_up(1), look_up(2))
    run("import_traces", path, limit=1)
    out, _ = run("import_traces", path)
    assert out.startswith("1 sessions stored, 1 skipped (stored before)")
    assert Session.objects.count() == 2


def test_a_missing_file_is_one_line_and_nothing_is_imported(transactional_db: None, tmp_path: Path) -> None:
    good = write(tmp_path / "t.jsonl", look_up(1))
    with pytest.raises(CommandError, match=r"none\.jsonl: No such file or directory") as stopped:
        run("import_traces", good, tmp_path / "none.jsonl")
    assert stopped.value.returncode == 2
    assert not Session.objects.exists()


def test_every_imported_session_is_mined_once(transactional_db: None, tmp_path: Path) -> None:
    run("import_traces", write(tmp_path / "t.jsonl", *map(look_up, range(5))), agent="Support desk")
    out, _ = run("mine", agent="support-desk")
    assert out.startswith("support-desk: 5 sessions mined, ")
    assert PatternRecord.objects.filter(agent__name="support-desk").exists()
    assert run("mine")[0].startswith("support-desk: 0 sessions mined")


def test_mining_an_unknown_agent_names_the_known_ones(transactional_db: None) -> None:
    AgentProfile.objects.create(name="ada")
    with pytest.raises(CommandError, match="There are: ada"):
        run("mine", agent="nobody")


def test_a_database_without_our_tables_is_said_in_one_line(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda self, targets: ["a migration"])
    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        run("mine")


def test_progress_is_told_when_the_last_line_is_two_seconds_old() -> None:
    now, said = [0.0], []
    progress = Progress(said.append, clock=lambda: now[0])
    for second in range(7):
        now[0] = float(second)
        progress.tell(f"at {second}")
    assert said == ["at 2", "at 4", "at 6"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--train", "none.jsonl", "--test", "none.jsonl"], "No such file"),
        (["--train", "t.jsonl", "--test", "t.jsonl", "--sessions", "0"], "--sessions must be above 0"),
        (["--train", "t.jsonl", "--test", "t.jsonl"], "nothing is left to test"),
    ],
)
def test_a_replay_that_cannot_be_says_why_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.jsonl", look_up(1))
    (tmp_path / "effects.json").write_text("{}")
    with pytest.raises(CommandError, match=reason) as stopped:
        run("replay", *arguments)
    assert stopped.value.returncode == 2
