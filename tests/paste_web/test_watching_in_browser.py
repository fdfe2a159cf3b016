"""The session page in a real headless Chromium, while a session really runs, and when it is over."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from paste_web.demonstration.stage import load_agents
from paste_web.wording import duration, seconds
from speculation.agent.demo import AGENTS
from speculation.call_table import call_rows
from speculation.models import AgentProfile, Origin, Session, WorkerPool
from speculation.queries import told
from speculation.submission import submit_task
from tests.browser import Visitors
from tests.paste_web.stored_sessions import a_user, append, ring, store
from tests.speculation.written_log import WrittenLog, example
from tests.workers import Workers

NETWORK = {"PASTE_NETWORK_LATENCY_SECONDS": "1.5"}
RANGE = "document.getElementById('chart')._fullLayout.xaxis.range"
RECORD_GROWTH = """() => {
  window.seen = {};
  setInterval(() => {
    for (const bar of document.querySelectorAll('.open-bar')) {
      const state = [...bar.classList].find((name) => name.startsWith('state-'));
      ((window.seen[state] ??= {})[bar.dataset.key] ??= []).push(bar.getBoundingClientRect().width);
    }
  }, 100);
}"""


@pytest.fixture
def operator(transactional_db: None) -> User:
    return a_user("op1", "add_session", "change_session", "view_payloads")


@pytest.fixture
def support(transactional_db: None) -> AgentProfile:
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1, "is_paused": False})
    return next(agent for agent in load_agents(leaves_one_to_approve=False) if agent.name == "support")


# In the page itself: a line outside of it would hand on what the page says to a socket that may have closed meanwhile.
LINE = """
const Real = window.WebSocket, open = new Set();
let isCut = false;
window.WebSocket = class extends Real {
  constructor(...given) {
    if (isCut) {
      const refused = Object.assign(new EventTarget(), { readyState: Real.CONNECTING, close() {} });
      setTimeout(() => { refused.readyState = Real.CLOSED; refused.dispatchEvent(new Event("close")); });
      return refused;
    }
    super(...given);
    open.add(this);
  }
};
window.line = { cut() { isCut = true; for (const socket of open) socket.close(); }, mend() { isCut = false; } };
"""


class Line:
    """The page's websockets, which can be cut: what is open is closed, and what is tried is refused until `mend`."""

    def __init__(self, page: Page) -> None:
        """Before the page is opened."""
        self._page = page
        page.add_init_script(f"(() => {{ {LINE} }})()")

    def cut(self) -> None:
        self._page.evaluate("window.line.cut()")

    def mend(self) -> None:
        self._page.evaluate("window.line.mend()")


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def learn(support: AgentProfile, workers: Workers, tasks: Sequence[str]) -> None:
    """Two sessions at full speed, then a model and tools that take their time, so that a browser can watch."""
    tools = workers.tools(processes=3, **NETWORK)
    fast = workers.agents(PASTE_SCRIPTED_TOKENS_PER_SECOND="1000", **NETWORK)
    tools.wait_until_ready()
    fast.wait_until_ready()
    for task in tasks:
        submit_task(support, task, speculation="off", origin=Origin.LEARNING)
    wait_until(lambda: not Session.objects.filter(mined_at=None).exists(), "nothing was mined")
    fast.stop()
    workers.agents(PASTE_SCRIPTED_TOKENS_PER_SECOND="30", **NETWORK).wait_until_ready()


def until(page: Page, expression: str, seconds: float = 15.0) -> None:
    """Wait for a JavaScript condition from out here: inside the page our own policy forbids evaluating strings."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(100)


def grows_past(page: Page, seq: int) -> None:
    """The Events tab shows an entry after `seq`."""
    until(page, f"Number(document.querySelector('#event-rows tr:last-child').dataset.seq) > {seq}", seconds=60)


def last_seq(page: Page) -> int:
    return int(page.evaluate("Number(document.querySelector('#event-rows tr:last-child').dataset.seq)"))


def largest_growth(page: Page, state: str) -> float:
    """Pixels by which the open bar of this state that grew most has grown."""
    widths = page.evaluate(f"Object.values(window.seen['state-{state}'] ?? {{}})")
    return max((max(seen) - min(seen) for seen in widths), default=0.0)


@pytest.mark.slow
def test_a_session_is_watched_while_it_runs(visitors: Visitors, operator: User, support: AgentProfile, workers: Workers) -> None:
    first, second, third = AGENTS["support"].tasks[:3]
    learn(support, workers, [first, second])
    page = visitors.page(operator)
    line = Line(page)
    session = submit_task(support, third, speculation="on")
    page.goto(f"/sessions/{session.pk}/")
    page.evaluate(RECORD_GROWTH)

    expect(page.locator("#badge")).to_have_text("Live")
    page.wait_for_selector(".open-bar.state-decode")
    page.wait_for_selector(".open-bar.state-guess", timeout=60_000)
    expect(page.locator(".outcome-used, .outcome-joined").first).to_be_visible(timeout=60_000)
    expect(page.locator("#badge")).to_have_text("Live")
    assert largest_growth(page, "decode") > 5
    assert largest_growth(page, "guess") > 5

    page.locator("#timeline").focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    zoomed, seen = page.evaluate(RANGE), last_seq(page)
    grows_past(page, seen)
    page.wait_for_timeout(600)
    assert page.evaluate(RANGE) == pytest.approx(zoomed)

    line.cut()
    expect(page.locator("#badge")).to_have_text("Reconnecting", timeout=5_000)
    seen = last_seq(page)
    grows_past(page, seen)
    line.mend()
    expect(page.locator("#badge")).to_have_text("Finished", timeout=90_000)
    assert_page_shows_the_database(page, session)


def assert_page_shows_the_database(page: Page, session: Session) -> None:
    """Figures, calls and log on the page are those of the log in the database, though nobody loaded the page again."""
    session.refresh_from_db()
    state = told(session)
    assert session.status == "succeeded"
    assert state.figures.hits >= 1
    expect(page.locator("[data-part=head]")).to_contain_text("succeeded")
    shown = page.locator(".fact .figure").all_inner_texts()
    figures = state.figures
    assert shown == [
        duration(figures.net_saved_seconds),
        duration(figures.task_seconds),
        f"{figures.hits} of {figures.eligible_calls}",
        duration(figures.wasted_seconds),
        duration(figures.interference_seconds),
    ]
    assert last_seq(page) == session.last_seq
    seqs = page.evaluate("[...document.querySelectorAll('#event-rows tr')].map((row) => Number(row.dataset.seq))")
    assert seqs == list(range(1, session.last_seq + 1))
    listed = [
        [row.call, f"{row.mark.sign} {row.mark.word}", seconds(row.took_seconds), seconds(row.waited_seconds), seconds(row.hidden_seconds)]
        for row in call_rows(state.story, figures)
    ]
    cells = page.evaluate("[...document.querySelectorAll('#panel-calls tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))")
    assert [[row[2], row[3], row[5], row[6], row[7]] for row in cells] == listed


def test_a_call_is_picked_by_key_by_click_and_by_address(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.goto(f"/sessions/{store(example()).pk}/?call=3.0")
    panel = page.locator("#call-panel")
    expect(panel).to_contain_text("Joined: asked for while it ran")
    expect(page.locator("tr.selected")).to_contain_text("get_payment")
    page.locator("#timeline").focus()
    page.keyboard.press(",")
    expect(panel).to_contain_text("W2378156")
    assert "call=2.0" in page.url
    page.locator("#panel-calls").get_by_text("get_refund(rf_07)").click()
    expect(panel).to_contain_text("never asked for it")
    box = page.locator("#chart .bars .point").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(panel).to_have_count(1)
    page.locator("#timeline").focus()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    assert "call=" not in page.url


def test_range_and_tab_are_kept_in_the_address(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    session = store(example())
    page.goto(f"/sessions/{session.pk}/?from=2&to=6&tab=turns")
    expect(page.locator("#panel-turns")).to_be_visible()
    until(page, f"{RANGE}[1] === 6")
    page.get_by_role("tab", name="Events").click()
    page.locator("#timeline").focus()
    page.keyboard.press("f")
    until(page, f"{RANGE}[0] === 0 && {RANGE}[1] > 20")
    assert page.url.endswith("?tab=events")


def test_the_plain_wheel_scrolls_the_page_and_with_control_it_zooms(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator, viewport={"width": 1000, "height": 500})
    page.goto(f"/sessions/{store(example()).pk}/")
    page.wait_for_selector("#chart .bars .point")
    page.locator("#chart").scroll_into_view_if_needed()
    box = page.locator("#chart").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 500, box["y"] + 60)
    before = page.evaluate(RANGE)
    top = page.evaluate("scrollY")
    page.mouse.wheel(0, 100)
    until(page, f"scrollY !== {top}")
    assert page.evaluate(RANGE) == before
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    until(page, f"{RANGE}[1] - {RANGE}[0] < {before[1] - before[0]}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chart_follows_the_theme(visitors: Visitors, operator: User, scheme: str) -> None:
    page = visitors.page(operator, color_scheme=scheme)
    page.goto(f"/sessions/{store(example()).pk}/")
    page.wait_for_selector("#chart .bars .point")
    background = page.evaluate("document.getElementById('chart')._fullLayout.paper_bgcolor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 27, 35)"}[scheme]


def test_nothing_is_wider_than_a_telephone(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator, viewport={"width": 390, "height": 844})
    session = store(example())
    for path in ("/sessions/", f"/sessions/{session.pk}/", f"/sessions/{session.pk}/?call=1.0"):
        page.goto(path)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_list_changes_in_place_and_new_sessions_wait(visitors: Visitors, operator: User) -> None:
    log = example()
    session = store(WrittenLog(log[:14]))
    page = visitors.page(operator)
    page.goto("/sessions/")
    expect(page.locator("#badge")).to_have_text("Live")
    expect(page.locator(f"#row-{session.pk} .state")).to_contain_text("running")
    from_here = WrittenLog(log[14:])
    append_and_ring(session, from_here)
    expect(page.locator(f"#row-{session.pk} .state")).to_contain_text("succeeded")
    append_and_ring(store(WrittenLog(log[:2])), WrittenLog(log[2:4]))
    expect(page.locator("#newer")).to_contain_text("Show 1 new")


def append_and_ring(session: Session, log: WrittenLog) -> None:
    append(session, log)
    ring(session)


def test_choosing_another_agent_offers_its_tasks_and_keeps_what_was_chosen(visitors: Visitors, operator: User, support: AgentProfile) -> None:
    page = visitors.page(operator)
    page.goto("/sessions/")
    page.locator("#submit-form").get_by_label("Speculation").select_option("off")
    page.locator("#submit-form").get_by_label("Agent").select_option("support")
    expect(page.locator("#id_task option").first).to_have_text(AGENTS["support"].tasks[0])
    expect(page.locator("#submit-form").get_by_label("Speculation")).to_have_value("off")
    page.get_by_role("button", name="Submit task").click()
    expect(page.locator("h1")).to_contain_text(AGENTS["support"].tasks[0][:40])


def test_signing_in_leads_to_the_page_that_was_asked_for(visitors: Visitors, operator: User) -> None:
    operator.set_password("let-me-in-please")
    operator.save()
    page = visitors.page(operator)
    page.context.clear_cookies()
    page.goto("/sessions/?q=abc")
    page.get_by_label("User name").fill("op1")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit")
    expect(page.get_by_label("User name")).to_have_value("op1")
    page.get_by_label("Password").fill("let-me-in-please")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/sessions/?q=abc")
