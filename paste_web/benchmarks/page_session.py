"""A session of thousands of calls in a real browser: first paint, payload, and how long it takes to react to a key."""

from typing import Any

from paste_web.benchmarks.quantities import milliseconds, quantile
from paste_web.picturing.browser import Browser, Page, cookie_of
from paste_web.picturing.filled import Filled
from speculation.models import Session

CHART = "#chart .bars .point"
LONGEST_MILLISECONDS = 60_000
MOST_ZOOMS = 8
"""Into a long session, one after the other: by then everything is seen one by one."""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
SENT = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  const others = performance.getEntriesByType("resource").reduce((sum, each) => sum + each.encodedBodySize, 0);
  return [page.encodedBodySize, page.encodedBodySize + others];
}"""
IN_A_FRAME = "requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)))"
SELECT = f"""key => new Promise((done) => {{
  const began = performance.now();
  const seen = new MutationObserver(() => {{ seen.disconnect(); {IN_A_FRAME}; }});
  seen.observe(document.getElementById("panel-place"), {{ childList: true }});
  document.getElementById("timeline").dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true }}));
}})"""
REDRAW = f"""key => new Promise((done) => {{
  const began = performance.now();
  document.getElementById("timeline").dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true }}));
  {IN_A_FRAME};
}})"""
"""From the key to the first frame after what it changed."""
DETAIL = f"""key => new Promise((done) => {{
  const began = performance.now(), chart = document.getElementById("chart"), fetched = window.fetch;
  let isAnswered = false;
  window.fetch = async (...asked) => {{
    const answer = await fetched(...asked);
    isAnswered ||= String(asked[0]).includes("/live/");
    return answer;
  }};
  const drawn = () => {{ if (isAnswered) {{ chart.removeListener("plotly_afterplot", drawn); {IN_A_FRAME}; }} }};
  chart.on("plotly_afterplot", drawn);
  setTimeout(() => {{ window.fetch = fetched; chart.removeListener("plotly_afterplot", drawn); done(null); }}, 3000);
  document.getElementById("timeline").dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true }}));
}})"""
"""From the key to the frame with what the server knows more of; null where it has sent all."""
ZOOMS = ("+", "+", "ArrowRight", "+", "ArrowRight", "-", "ArrowLeft", "-", "-", "f")


def measure_session(
    browser: Browser, address: str, house: Filled, session: Session, loads: int, keys: int
) -> dict[str, Any]:
    """`loads` with nothing kept from before, then `keys` of each kind in the last of them. Milliseconds and bytes."""
    paints, drawn = [], []
    for k in range(loads):
        context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
        context.add_cookies([cookie_of(house.operator, address)])
        page = context.new_page()
        page.goto(f"/sessions/{session.pk}/", wait_until="load", timeout=LONGEST_MILLISECONDS)
        page.wait_for_selector(CHART, timeout=LONGEST_MILLISECONDS)
        drawn.append(page.evaluate("performance.now()") / 1000)
        paints.append(page.evaluate(PAINT) / 1000)
        last = _react(page, keys) if k == loads - 1 else {}
        context.close()
    return {"events": session.last_seq, "first_paint": with_p95(paints), "chart_drawn": with_p95(drawn), **last}


def _react(page: Page, keys: int) -> dict[str, Any]:
    """What it was sent, and how long it takes over each key."""
    document_bytes, all_bytes = page.evaluate(SENT)
    selected = [page.evaluate(SELECT, ".") for _ in range(keys)]
    zoomed = [page.evaluate(REDRAW, ZOOMS[k % len(ZOOMS)]) for k in range(keys)]
    page.evaluate(REDRAW, "f")
    detailed = [page.evaluate(DETAIL, "+") for _ in range(min(keys, MOST_ZOOMS))]
    took = {"select_next_call": selected, "zoom_and_move": zoomed, "detail_after_zoom": detailed}
    return {
        "document_bytes": document_bytes,
        "all_bytes": all_bytes,
        "bars": page.evaluate("document.querySelectorAll('#chart .bars .point').length"),
        **{name: with_p95([one / 1000 for one in each if one is not None]) for name, each in took.items()},
    }


def with_p95(samples: list[float]) -> dict[str, Any]:
    """Of samples in seconds: milliseconds."""
    if not samples:
        return {"count": 0}
    return {**milliseconds(samples), "p95": round(1000 * quantile(samples, 0.95), 3)}
