"""The made-up installation: drawn from a seed, coherent, with every state there is; and a scratch database that leaves no trace."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from paste_web.picturing import browser
from paste_web.picturing.filled import fill, people
from paste_web.picturing.pages import EVERYWHERE, FILLED
from paste_web.picturing.plots import PLOTS, long_plot
from paste_web.picturing.scratch import scratch_database
from paste_web.picturing.telling import Line, Terms, tell
from paste_web.templatetags.paste import MENU, PAGES
from speculation.decisions import Standing, judge, newest_decisions
from speculation.figures import compute
from speculation.models import AgentProfile, EventRecord, Session, SessionFigures, ToolRecord
from speculation.story import Story
from tests.speculation.breaking import set_default_limits
from tests.speculation.written_log import Entry

ORIGIN = datetime(2026, 11, 22, 14, tzinfo=UTC)


def story_of(lines: list[Line]) -> Story:
    return Story(
        Entry(k, line.kind, ORIGIN + timedelta(seconds=line.at), dict(line.payload)) for k, line in enumerate(lines, 1)
    )


@pytest.mark.parametrize("name", PLOTS)
def test_a_seed_tells_one_story(name: str) -> None:
    told = [tell(PLOTS[name](Random(3)), Terms(), Random(4)) for _ in range(2)]
    assert told[0] == told[1] != tell(PLOTS[name](Random(3)), Terms(), Random(5))


@pytest.mark.parametrize("arm", ["on", "off", "holdout", "shadow"])
@pytest.mark.parametrize("name", PLOTS)
def test_a_told_session_is_one_that_could_have_been(name: str, arm: str) -> None:
    for seed in range(8):
        story = story_of(tell(PLOTS[name](Random(seed)), Terms(arm=arm), Random(seed)))
        figures = compute(story)
        assert story.has_ended and story.status == "succeeded"
        assert all(call.returned_at is not None for call in story.calls.values())
        assert all(run.ended_at is not None for run in story.runs.values())
        assert all(0 <= call.hidden_seconds <= call.run_seconds + 1e-6 for call in figures.calls)
        assert (figures.launches > 0) is (arm == "on") or figures.launches == 0
        assert (figures.net_saved_seconds == pytest.approx(0.0)) or arm == "on"


def test_every_fate_of_a_guess_is_told() -> None:
    told = [compute(story_of(tell(PLOTS["support"](Random(k)), Terms(stray=0.9), Random(k)))) for k in range(30)]
    assert {call.call.outcome for figures in told for call in figures.calls} == {"used", "joined", "requested"}
    assert {waste.reason for figures in told for waste in figures.wasted} >= {"miss", "preempted", "invalidated"}
    assert any(figures.interference_seconds > 0.1 for figures in told)


def test_a_session_that_breaks_off_says_why() -> None:
    story = story_of(tell(PLOTS["coding"](Random(1)), replace(Terms(), breaks_off_after=2), Random(1)))
    assert story.status == "failed" and story.error and len(story.turns) == 2


def test_a_long_plot_has_as_many_calls_as_were_asked_for() -> None:
    assert sum(map(len, long_plot(Random(1), 10).turns)) == 10


@pytest.mark.django_db
def test_a_filled_installation_has_a_tool_in_every_state_and_books_what_has_ended() -> None:
    set_default_limits()
    operator, viewer = people()
    filled = fill(timezone.now(), operator=operator, viewer=viewer, sessions=10)
    tools = ToolRecord.objects.all()
    decisions = newest_decisions(tools)
    stands = {judge(tool, next(iter(decisions.get(tool.pk, ())), None), timezone.now()).standing for tool in tools}
    assert stands == set(Standing)
    assert SessionFigures.objects.count() == Session.objects.filter(ended_at__isnull=False).count() > 20
    priced = EventRecord.objects.filter(kind="job_queued", payload__price="0.004")
    assert set(priced.values_list("payload__tool", flat=True)) == {"get_invoice"}, "one tool has a price"
    assert not EventRecord.objects.filter(payload__has_key="price").exclude(pk__in=priced).exists()
    assert {session.status for session in filled.sessions.values()} == {"queued", "running", "succeeded", "failed"}
    assert filled.pattern.mapping


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_is_made_in_the_scratch_database_is_gone_afterwards() -> None:
    AgentProfile.objects.create(name="ours")
    with scratch_database():
        assert not AgentProfile.objects.exists()
        AgentProfile.objects.create(name="made-up")
    assert [agent.name for agent in AgentProfile.objects.all()] == ["ours"]


def test_every_picture_has_a_name_of_its_own() -> None:
    names = [look.name for look in (*EVERYWHERE, *FILLED)]
    assert len(names) == len(set(names))


def test_every_page_that_is_navigated_to_has_a_picture() -> None:
    assert {name for _, name in (*PAGES, *MENU)} <= {look.route for look in EVERYWHERE}


def test_a_picture_that_there_is_not_is_refused_in_one_line() -> None:
    with pytest.raises(CommandError, match="no picture begins with 'sesion'") as refused:
        call_command("screenshots", only="sesion")
    assert refused.value.returncode == 2


@pytest.mark.parametrize("missing", ["playwright", "chromium"])
def test_without_a_browser_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    if missing == "playwright":
        monkeypatch.setattr(browser, "sync_playwright", None)
    else:
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("PASTE_CHROMIUM", raising=False)
    with pytest.raises(CommandError, match="Install") as refused:
        call_command("screenshots", only="login")
    assert refused.value.returncode == 2
