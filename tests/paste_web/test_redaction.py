"""Without the permission `view_payloads` no argument, result or text leaves the server by any way. Sockets: test_live.py."""

import json

import pytest

from paste_web.redaction import open_part, source_in_short
from speculation.models import ToolJob, ToolRecord
from tests.paste_web.stored_sessions import a_user, store
from tests.speculation.written_log import WrittenLog

SECRET = "S3CRET-4711"  # in arguments, results, texts
TASK = "T4SK-0815"  # the task names the session in lists and headlines, for everybody


def secretive():
    """A log with the secret wherever a log can hold one, and a guess in each state."""
    log = WrittenLog()
    log.add(-0.2, "session_queued", agent="support", task=TASK, arm="on", model="m", scripted=False)
    log.add(0, "session_started", attempt=1, owner="w1").add(0, "user_said", text=f"{TASK} {SECRET}")
    log.add(0, "turn_started", turn=1, attempt=1).add(0.1, "first_token", turn=1)
    given = {"id": SECRET}
    log.add(0.2, "predicted", turn=1, abstained=[{"tool": "read", "reason": "no source"}], candidates=[
        {"tool": "read", "arguments": given, "probability": 0.8, "job": "g1", "verdict": "admitted", "after": [{"tool": "list", "arguments": given}]}])  # fmt: skip
    for job in ("g1", "g2"):
        log.add(0.2, "job_queued", job=job, tool="read", arguments={**given, "of": job}, effect="none", speculative=True, epoch=0,
                probability=0.8, utility=1.0, pattern=7, sources={"id": f'= "{SECRET}"', "of": f"result(read).{SECRET}"})  # fmt: skip
        log.add(0.3, "job_started", job=job, attempt=1).ends(job, 1.0)
    calls = [{"call_id": "1.0", "tool": "read", "arguments": given, "provider_call_id": "x", "problem": SECRET}]
    log.add(
        2,
        "turn_ended",
        turn=1,
        text=SECRET,
        calls=calls,
        finish_reason="tool_calls",
        usage={"completion_tokens": 7, "note": SECRET},
    )
    log.add(2, "call_asked", call_id="1.0", turn=1, tool="read", arguments=given, effect="none", job="g1", outcome="used", reason="",
            part_of={"whole": SECRET})  # fmt: skip
    log.add(2.1, "call_returned", call_id="1.0", turn=1, tool="read", job="g1", ok=True, content=SECRET, structured={"a": SECRET},
            unknown_outcome=False)  # fmt: skip
    log.add(2.2, "checked", job="g3", of="g1", call_id="1.0", differs_at=f"/{SECRET}").add(
        2.3, "a_new_kind", unheard_of=SECRET
    )
    log.requested("1.1", "read", 2.4, 2.4, 2.6, arguments=given)
    return log.add(3, "session_ended", status="succeeded", answer=SECRET, error=None)


def store_secretive():
    session = store(secretive(), task=TASK)
    tool = ToolRecord.objects.create(name="read")
    ToolJob.objects.create(
        session=session,
        tool=tool,
        fingerprint="f",
        effect="none",
        epoch=0,
        arguments={"id": SECRET},
        result={"content": SECRET},
    )
    return session


def body(answer):
    return b"".join(answer.streaming_content).decode() if answer.streaming else answer.content.decode()


PATHS = [
    "sessions/{id}/", "sessions/{id}/?tab=events&call=1.0&before=9", "sessions/{id}/live/", "sessions/{id}/live/?look=1&from=0&to=2",
    "sessions/{id}/calls/1.0/", "sessions/{id}/calls/1.1/", "sessions/{id}/calls/g2/", "sessions/{id}/trace.json",
    "sessions/{id}/calls.csv", "sessions/export.csv", "sessions/", "compare/?a={id}", "compare/?a={id}&b={other}",
]  # fmt: skip


@pytest.mark.django_db
def test_no_page_and_no_export_holds_the_secret(client):
    client.force_login(a_user("eve"))
    session, other = store_secretive(), store(secretive(), task=TASK, arm="off")
    for path in PATHS:
        answer = client.get("/" + path.format(id=session.pk, other=other.pk))
        text = body(answer)
        assert answer.status_code == 200, path
        assert SECRET not in text and json.dumps(SECRET)[1:-1] not in text, path
    for path in ("trace.json", "calls.csv", "live/?look=1"):
        assert TASK not in body(client.get(f"/sessions/{session.pk}/{path}")), path


@pytest.mark.django_db
def test_who_may_read_finds_it(client):
    client.force_login(a_user("op1", "view_payloads"))
    session = store_secretive()
    for path in ("?tab=events", "live/", "calls/1.0/", "calls/g2/", "trace.json", "calls.csv"):
        assert SECRET in body(client.get(f"/sessions/{session.pk}/{path}")), path


def test_a_key_that_nobody_named_is_hidden():
    payload = {"turn": 1, "unheard_of": "x", "usage": {"completion_tokens": 7, "note": "x"}, "reason": ["x"]}
    assert open_part(payload) == {
        "turn": 1,
        "unheard_of": "…",
        "usage": {"completion_tokens": 7, "note": "…"},
        "reason": "…",
    }


@pytest.mark.parametrize(
    ("source", "short"),
    [
        ('= "W2378156"', "a constant"),
        ("result(get_user).orders.W2378156", "result(get_user)"),
        ('"W23" + text(get_user) + ""', "text(get_user)"),
        ("result(W2378156).x", "result(…)"),
        ("said(W2378156)", "…"),
    ],
)
def test_a_source_in_short_names_a_known_tool_and_nothing_else(source, short):
    assert source_in_short(source, {"get_user"}) == short
