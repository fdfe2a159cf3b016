"""The timeline in a real headless Chromium: pause, the two bars as minimap, level of detail, labels, two on one axis."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from paste_web.session_view import READ_AT_ONCE
from speculation.models import Session
from tests.accessibility import violations
from tests.browser import Visitors, Witness
from tests.paste_web.stored_sessions import a_user, append, store
from tests.paste_web.test_watching_in_browser import RANGE, append_and_ring, last_seq, until
from tests.speculation.written_log import WrittenLog, example


@pytest.fixture
def operator(transactional_db: None) -> User:
    return a_user("op1", "view_payloads")


def test_paused_news_is_counted_and_shown_when_the_reader_goes_on(visitors: Visitors, operator: User) -> None:
    log = example()
    session = store(WrittenLog(log[:14]))
    page = visitors.page(operator)
    page.goto(f"/sessions/{session.pk}/")
    expect(page.locator("#badge")).to_have_text("Live")
    page.keyboard.press("p")
    append_and_ring(session, WrittenLog(log[14:]))
    expect(page.locator("#badge")).to_have_text(f"Paused, {len(log) - 14} new")
    assert last_seq(page) == 14
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#badge")).to_have_text("Finished")
    until(page, f"document.querySelector('#event-rows tr:last-child').dataset.seq === '{len(log)}'")
    expect(page.locator(".fact.headline")).to_contain_text("5.2 s")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_dragging_along_the_two_bars_sets_the_range_and_marks_it(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.goto(f"/sessions/{store(example()).pk}/")
    page.wait_for_selector("#chart .bars .point")
    box = page.locator(".minimap-axis").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 10, steps=4)
    expect(page.locator("#minimap-drag")).to_be_visible()
    page.mouse.up()
    axis = page.evaluate("Number(document.querySelector('svg.strip').dataset.axis)")
    assert page.evaluate(RANGE) == pytest.approx([axis * 0.25, axis * 0.5], abs=axis * 0.005)
    expect(page.locator("#minimap-seen")).to_be_visible()
    assert "from=" in page.url


def long_session(turns: int = 400) -> Session:
    log = WrittenLog().started()
    for number in range(1, turns + 1):
        log.turn(number, number, number + 0.5, "read").requested(
            f"{number}.0", "read", number + 0.5, number + 0.5, number + 1
        )
    return store(log.ended(turns + 2))


def drawn(page: Page, what: str) -> Any:
    """Of the chart's bars: `picks` of calls, or the largest `count` that one stands for."""
    bars = "document.getElementById('chart').data.filter((trace) => trace.type === 'bar').flatMap((trace) => trace.customdata)"
    return page.evaluate(
        f"{bars}.map((bar) => bar[0]).filter(Boolean)"
        if what == "picks"
        else f"Math.max(...{bars}.map((bar) => bar[4]))"
    )


def test_zooming_into_a_long_session_brings_each_bar_from_the_server(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.goto(f"/sessions/{long_session().pk}/")
    page.wait_for_selector("#chart .bars .point")
    expect(page.locator("#merged")).to_be_visible()
    assert drawn(page, "count") > 1
    assert drawn(page, "picks") == []
    box = page.locator("#chart .bars .point").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)  # a bar that stands for many is opened
    expect(page.locator("#merged")).to_be_hidden()
    until(
        page,
        "document.getElementById('chart').data.every((t) => t.type !== 'bar' || t.customdata.every((bar) => bar[4] === 1))",
    )
    page.goto(page.url.split("?")[0] + "?call=333.0&from=330&to=340")
    page.wait_for_selector("#chart .bars .point")
    expect(page.locator("tr.selected")).to_contain_text("read")
    assert "333.0" in drawn(page, "picks")
    page.locator("#timeline").focus()
    page.keyboard.press(".")
    until(page, "location.search.includes('call=334.0')")
    page.get_by_role("link", name="First").click()
    expect(page.locator("#panel-calls tr[data-pick='1.0']")).to_be_visible()
    assert "calls=1" in page.url and "from=330" in page.url


def test_a_log_too_long_to_wait_for_is_read_after_its_page_is_there(visitors: Visitors, operator: User) -> None:
    session = long_session(1500)
    assert session.last_seq > READ_AT_ONCE
    page = visitors.page(operator)
    held: list[Route] = []
    page.route("**/live/*", lambda route: held.append(route))
    page.goto(f"/sessions/{session.pk}/?call=333.0&from=330&to=340")
    expect(page.locator("#waiting")).to_have_text(f"Reading {session.last_seq:,} entries of the log…")
    page.locator("#timeline").press("+")  # nothing there yet to see more of
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    held.pop().continue_()
    expect(page.locator("#badge")).to_have_text("Finished")
    page.wait_for_selector("#chart .bars .point")
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.locator("tr.selected")).to_contain_text("read")
    expect(page.locator("#call-panel")).to_be_visible()
    assert page.evaluate(RANGE) == pytest.approx([330, 340])
    assert "333.0" in drawn(page, "picks")
    page.get_by_role("tab", name="Events").click()
    expect(page.locator("#event-rows tr")).to_have_count(300)


def test_a_long_log_that_cannot_be_read_says_what_to_do(visitors: Visitors, operator: User, witness: Witness) -> None:
    page = visitors.page(operator)
    page.route("**/live/*", lambda route: route.abort())
    page.goto(f"/sessions/{long_session(1500).pk}/")
    expect(page.locator("#waiting")).to_contain_text("Load the page again")
    assert len(witness.complaints) == 1 and "ERR_FAILED" in witness.complaints.pop()


PRESS = """([key, times]) => {
  const frame = document.getElementById("timeline");
  for (let k = 0; k < times; k++) frame.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
}"""


def test_keys_pressed_faster_than_the_server_answers_all_count(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.route("**/calls/*/", lambda route: (page.wait_for_timeout(100), route.continue_()))
    page.goto(f"/sessions/{long_session(120).pk}/")
    page.wait_for_selector("#chart .bars .point")
    page.evaluate(PRESS, [".", 48])
    assert "call=48.0" in page.url  # without a panel: the row and the address do not wait for it
    assert page.locator("tr.selected").get_attribute("data-pick") == "48.0"
    page.evaluate(PRESS, [".", 4])  # over the end of the table's page
    until(page, "location.search.includes('call=52.0')")
    expect(page.locator("#call-panel")).to_have_attribute("data-pick", "52.0")
    expect(page.locator("tr.selected")).to_have_attribute("data-pick", "52.0")
    page.evaluate(PRESS, [",", 3])
    until(page, "location.search.includes('call=49.0')")
    expect(page.locator("#call-panel")).to_have_attribute("data-pick", "49.0")


def test_the_panel_beside_the_selected_call_is_there_before_it_is_asked_for(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.goto(f"/sessions/{store(example()).pk}/")
    page.wait_for_selector("#chart .bars .point")
    with page.expect_response("**/calls/2.0/"):
        page.evaluate(PRESS, [".", 1])
    expect(page.locator("#call-panel")).to_have_attribute("data-pick", "1.0")
    page.wait_for_load_state("networkidle")
    page.route("**/calls/2.0/", lambda route: route.abort())
    page.evaluate(PRESS, [".", 1])
    expect(page.locator("#call-panel")).to_have_attribute("data-pick", "2.0")


def test_two_sessions_share_one_axis_and_one_range(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.goto(f"/compare/?a={store(example()).pk}&b={long_session(60).pk}")
    frames = page.locator(".chart-frame")
    until(page, "document.querySelectorAll('.chart .bars .point').length > 10")
    ranges = "[...document.querySelectorAll('.chart')].map((chart) => chart._fullLayout.xaxis.range)"
    one, other = page.evaluate(ranges)
    assert one == other and one[1] > 62
    frames.first.focus()
    page.keyboard.press("+")
    until(page, f"JSON.stringify({ranges}) !== '{json.dumps([one, other], separators=(',', ':'))}'")
    one, other = page.evaluate(ranges)
    assert one == other
    page.get_by_role("button", name="Fit").click()
    until(page, f"{ranges}.every((range) => range[0] === 0)")


def test_a_comparison_with_a_session_that_runs_follows_it_to_its_end(visitors: Visitors, operator: User) -> None:
    log = example()
    over, running = store(log), store(WrittenLog(log[:14]))
    page = visitors.page(operator)
    page.goto(f"/compare/?a={over.pk}&b={running.pk}")
    until(page, "document.querySelectorAll('.chart .bars .point').length > 5")
    compared, turns = page.locator("#compared"), page.locator(".turn-pairs tbody tr")
    expect(compared).to_have_attribute("data-live", "true")
    expect(turns.last).to_contain_text("none")
    expect(page.locator(".verdict")).to_contain_text("Both made the same calls in each of 1 turn so far.")
    bars = page.evaluate("document.querySelectorAll('.chart .bars .point').length")
    append(running, WrittenLog(log[14:]))
    expect(turns.last).not_to_contain_text("none")
    expect(page.locator(".verdict")).to_contain_text("Both made the same calls in each of 5 turns.")
    until(page, f"document.querySelectorAll('.chart .bars .point').length > {bars}")
    first, second = page.locator(".strip-frame").all_inner_texts()
    assert first.replace(over.short_id, "") == second.replace(running.short_id, "")


LABELS = """() => [...document.querySelectorAll('.bar-labels span')].map((label) => {
  const { left, right, top } = label.getBoundingClientRect();
  return [label.textContent, left, right, top];
})"""


def test_bars_are_labelled_with_what_fits_and_the_labels_move_along(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.goto(f"/sessions/{store(example()).pk}/")
    page.wait_for_selector("#chart .bars .point")
    page.wait_for_timeout(500)  # the redraws that nobody waits for
    chart = page.locator("#chart .nsewdrag").bounding_box()
    assert chart is not None
    before = page.evaluate(LABELS)
    assert 5 < len(before) <= 60 and "turn 2" in {text for text, *_ in before}
    for text, left, _right, _top in before:
        assert left >= chart["x"] - 1 and text.strip()
    moved_to = drag_left(page, chart, 60)
    at = {text: left for text, left, *_ in before if text.startswith("turn")}
    assert moved_to["turn 3"] == pytest.approx(at["turn 3"] - 60, abs=2), "while the drag goes on"
    page.mouse.up()
    for _ in range(5):
        page.locator("#timeline").press("+")
    longer = {text for text, *_ in page.evaluate(LABELS)}
    assert longer and longer != {text for text, *_ in before}


def drag_left(page: Page, chart: Any, by: int) -> dict[str, float]:
    """Where labels stand while the chart is held."""
    x, y = chart["x"] + chart["width"] / 2, chart["y"] + chart["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - by, y, steps=4)
    page.wait_for_timeout(100)
    return {text: left for text, left, *_ in page.evaluate(LABELS)}


def test_what_is_told_on_hover_stands_above_the_labels(visitors: Visitors, operator: User) -> None:
    page = visitors.page(operator)
    page.goto(f"/sessions/{store(example()).pk}/")
    page.wait_for_selector("#chart .bars .point")
    layers = "[...document.querySelectorAll('.bar-labels, #chart .hoverlayer')].map((one) => getComputedStyle(one.closest('svg') ?? one).zIndex)"
    labels, hover = sorted(int(z) for z in page.evaluate(layers))
    assert labels < hover
