"""A session of thousands of calls in a real browser: first paint, payload, and how long it takes to react to a key."""

from typing import Any

from paste_web.benchmarks.quantities import milliseconds, quantile
from paste_web.picturing.browser import Browser, cookie_of
from paste_web.picturing.filled import Filled
from speculation.models import Session

CHART = "#chart .bars .point"
LONGEST_MILLISECONDS = 60_000
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
        if k == loads - 1:
            document_bytes, all_bytes = page.evaluate(SENT)
            selected = [page.evaluate(SELECT, ".") / 1000 for _ in range(keys)]
            zoomed = [page.evaluate(REDRAW, ZOOMS[k % len(ZOOMS)]) / 1000 for k in range(keys)]
            shown = page.evaluate("document.querySelectorAll('#chart .bars .point').length")
        context.close()
    return {
        "events": session.last_seq,
        "document_bytes": document_bytes,
        "all_bytes": all_bytes,
        "bars": shown,
        "first_paint": _with_p95(paints),
        "chart_drawn": _with_p95(drawn),
        "select_next_call": _with_p95(selected),
        "zoom_and_move": _with_p95(zoomed),
    }


def _with_p95(samples: list[float]) -> dict[str, Any]:
    return {**milliseconds(samples), "p95": round(1000 * quantile(samples, 0.95), 3)}
