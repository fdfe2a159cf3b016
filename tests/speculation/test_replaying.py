import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from paste_web import celery_app
from paste_web.management.commands.replay import compare
from speculation import jobs, submission, tasks
from speculation.events import SessionLog
from speculation.models import AgentProfile, Approval, Arm, PatternRecord, Session, SpeculationMode, ToolJob, WorkerPool
from speculation.recorded_agents import profile
from speculation.replay_figures import Compared
from speculation.replaying import Choice, Pair, Replay, choose, make_pairs, prepare
from speculation.submission import InvalidTask, submit_task
from speculation.traces import BadLine, Effects, TraceSession
from tests.speculation.test_recordings import llm, tool, trace, user
from tests.workers import Workers

EFFECTS = Effects({"shop": {"read": ["get_user", "get_order"], "local": ["think"]}})
TIME_SCALE = 50.0


def look_up(number: int, **fields: Any) -> TraceSession:
    """The customer's record names an order, which is looked up next, twice."""
    order = f"#W{number:03}77"
    return trace(
        user(f"I am user_{number:03}"),
        llm(1),
        tool(1, "get_user", json.dumps({"orders": [order]}), user_id=f"user_{number:03}"),
        llm(2),
        tool(2, "get_order", '{"status": "open"}', order_id=order),
        llm(3),
        tool(3, "get_order", '{"status": "open"}', order_id=order),
        llm(4, "It is open."),
        session_id=f"look up {number}",
        task_id=f"task {number}",
        **fields,
    )


def cancel(number: int) -> TraceSession:
    """The order is looked up, changed, and looked up again: the second look sees another world."""
    order = f"#W{number:03}77"
    return trace(
        user(f"I am user_{number:03}"),
        llm(1),
        tool(1, "get_user", json.dumps({"orders": [order]}), user_id=f"user_{number:03}"),
        llm(2),
        tool(2, "get_order", '{"status": "open"}', order_id=order),
        llm(3),
        tool(3, "cancel_order", "done", order_id=order),
        llm(4),
        tool(4, "get_order", '{"status": "cancelled"}', order_id=order),
        llm(5, "It is cancelled."),
        session_id=f"cancel {number}",
        task_id=f"cancel {number}",
    )


TRAINING = [look_up(number) for number in range(20)]


def write(path: Path, *traces: TraceSession) -> Path:
    path.write_text("".join(json.dumps(vars(one)) + "\n" for one in traces))
    return path


def bad(line: BadLine) -> None:
    raise AssertionError(line)


def choose_from(train: Path, test: Path, sessions: int = 100) -> list[Choice]:
    return choose([train], [test], sessions=sessions, seed=1, on_bad=bad)


def test_one_file_for_both_is_split_by_task(tmp_path: Path) -> None:
    twice = [look_up(number, model=model) for number in range(20) for model in ("a", "b")]
    both = write(tmp_path / "t.jsonl", *twice)
    [choice] = choose_from(both, both)
    trained, tested = {run.task_id for run in choice.train}, {run.task_id for run in choice.test}
    assert len(tested) == 5
    assert not trained & tested
    assert len(choice.train) + len(choice.test) == 40


def test_a_task_that_was_trained_on_is_not_tested(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", look_up(1))
    test = write(tmp_path / "b.jsonl", look_up(1, model="other"), look_up(2))
    [choice] = choose_from(train, test)
    assert [run.task_id for run in choice.test] == ["task 2"]


def test_the_same_seed_draws_the_same_sessions(tmp_path: Path) -> None:
    train, test = write(tmp_path / "a.jsonl", cancel(1)), write(tmp_path / "b.jsonl", *TRAINING)
    drawn = [[run.session_id for run in choose_from(train, test, sessions=4)[0].test] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 4


@pytest.fixture
def in_process(transactional_db: None, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sessions and jobs run here and at once, by the same code that workers run, on the real database."""
    monkeypatch.setattr(submission, "hand_over", lambda session_id: tasks.run_session(str(session_id)))
    celery_app.conf.task_always_eager = True
    yield
    celery_app.conf.task_always_eager = False
    connection.close()


def live_twice(run: TraceSession, root: Path) -> tuple[Compared, Pair]:
    choice = Choice("shop", TRAINING, [run])
    agent = prepare(choice, EFFECTS, time_scale=TIME_SCALE)
    [pair] = make_pairs(agent, choice, EFFECTS, seed=1, time_scale=TIME_SCALE)
    replay = Replay([pair], root, parallel=1)
    while not replay.is_over:
        replay.advance()
    return compare(pair, EFFECTS), pair


def test_a_replayed_session_gets_the_recorded_answers_in_both_arms_and_waits_less(
    in_process: None, tmp_path: Path
) -> None:
    compared, pair = live_twice(look_up(99), tmp_path / "worlds")
    assert (compared.off.problem, compared.on.problem) == ("", "")
    assert compared.off.figures.launches == 0
    assert compared.on.figures.hits >= 1
    assert compared.on.exposed_seconds < compared.off.exposed_seconds
    assert Session.objects.get(pk=pair.sessions[Arm.ON].pk).pair_id == pair.sessions[Arm.OFF].pk


def test_nothing_is_learned_from_a_replay(in_process: None, tmp_path: Path) -> None:
    choice = Choice("shop", TRAINING, [look_up(99)])
    agent = prepare(choice, EFFECTS, time_scale=TIME_SCALE)
    before = dict(PatternRecord.objects.filter(agent=agent).values_list("key", "support"))
    replay = Replay(make_pairs(agent, choice, EFFECTS, seed=1, time_scale=TIME_SCALE), tmp_path / "w", parallel=1)
    while not replay.is_over:
        replay.advance()
    assert dict(PatternRecord.objects.filter(agent=agent).values_list("key", "support")) == before


def test_only_reading_tools_are_approved_and_for_the_replays_agent_alone(transactional_db: None) -> None:
    agent = prepare(Choice("shop", [cancel(1)], []), EFFECTS, time_scale=1.0)
    approved = Approval.objects.filter(agent=agent, level="full", who="replay").values_list("tool__name", flat=True)
    assert sorted(approved) == ["get_order", "get_user"]
    assert not Approval.objects.exclude(agent=agent).exists()
    again = prepare(Choice("shop", [cancel(1)], []), EFFECTS, time_scale=1.0)
    assert (agent.name, again.name) == ("replay-shop-1", "replay-shop-2")


def test_a_read_after_a_change_sees_the_changed_world(in_process: None, tmp_path: Path) -> None:
    compared, pair = live_twice(cancel(99), tmp_path / "worlds")
    assert (compared.off.problem, compared.on.problem) == ("", "")
    stale = ToolJob.objects.filter(session=pair.sessions[Arm.ON], tool__name="get_order", call_id=None)
    assert "invalidated" in [job.end_reason for job in stale], "the second look was guessed before the change"


def test_with_the_epoch_guard_switched_off_a_stale_result_shows_as_a_wrong_answer(
    in_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_step(log: SessionLog, call_id: str, scope: str = "", **is_over: bool) -> None:
        """The world changes and nobody notes it."""

    monkeypatch.setattr(SessionLog, "begin_change", no_step)
    monkeypatch.setattr(SessionLog, "end_change", no_step)
    monkeypatch.setattr(jobs, "drop_speculation", _only_at_the_end(jobs.drop_speculation))
    compared, _ = live_twice(cancel(99), tmp_path / "worlds")
    assert compared.off.is_right
    assert '\'{"status": "open"}\', recorded \'{"status": "cancelled"}\'' in compared.on.problem


def _only_at_the_end(drop: Callable[..., int]) -> Callable[..., int]:
    return lambda log, reason, *rest: 0 if reason == "invalidated" else drop(log, reason, *rest)


def test_a_recorded_agent_takes_no_task_of_its_own(transactional_db: None) -> None:
    agent = profile("shop", SpeculationMode.OFF)
    with pytest.raises(InvalidTask, match="only lives recordings again"):
        submit_task(agent, "Cancel my order")
    assert not Session.objects.exists()


def test_worlds_are_removed_once_a_replay_is_over(in_process: None, tmp_path: Path) -> None:
    choice = Choice("shop", TRAINING[:1], [look_up(99)])
    agent: AgentProfile = prepare(choice, EFFECTS, time_scale=1000.0)
    replay = Replay(make_pairs(agent, choice, EFFECTS, seed=1, time_scale=1000.0), tmp_path / "worlds", parallel=1)
    replay.advance()
    assert len(list((tmp_path / "worlds").iterdir())) == 1
    while not replay.is_over:
        replay.advance()
    replay.remove_worlds()
    assert not (tmp_path / "worlds").exists()


@pytest.mark.slow
def test_a_replay_on_real_workers_hides_time_and_changes_no_answer(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "effects.json").write_text(json.dumps(EFFECTS.by_source))
    train = write(tmp_path / "train.jsonl", *TRAINING)
    test = write(tmp_path / "test.jsonl", look_up(97), cancel(98), look_up(99))
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 6, "reserved": 2})
    for worker in (workers.tools(6), workers.agents()):
        worker.wait_until_ready()
    out = StringIO()
    options = {"workers": "external", "time_scale": 5.0, "parallel": 2, "format": "json"}
    call_command("replay", "--train", str(train), "--test", str(test), stdout=out, **options)
    document = json.loads(out.getvalue())
    [source] = document["sources"]
    assert (source["sessions"], source["training_sessions"]) == (3, 20)
    assert source["answers_equal"] and document["answers_equal"]
    assert source["hits"] >= 3
    assert source["exposed_tool_seconds"]["on"] < source["exposed_tool_seconds"]["off"]
    assert len(source["worst"]) == 3 and all(one["reason"] for one in source["worst"])
