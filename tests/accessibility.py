"""What axe has against a page, by WCAG 2.2 A and AA. It sees no text inside charts: test_tokens.py computes their contrasts."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of these tags that a theme can change the answer of."""
RUN = """([type, values]) => axe.run(document, { runOnly: { type, values }, resultTypes: ["violations"] })"""


def violations(page: Page, *, of_colours_alone: bool = False) -> list[str]:
    """One line an element: the rule, where, and what to do. `of_colours_alone`: of a page that was looked at in another theme."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    asked = ["rule", OF_COLOURS] if of_colours_alone else ["tag", TAGS]
    found = page.evaluate(RUN, asked)["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]
