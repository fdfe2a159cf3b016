"""The live sections of `benchmark`: what each measures and how it reads. A new one is one entry here and one in names.py."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from paste_web.benchmarks.call_table import call_text
from paste_web.benchmarks.calls import call_document
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.harm import harm_document
from paste_web.benchmarks.harm_table import harm_text
from paste_web.benchmarks.mcp import mcp_document, mcp_text
from paste_web.benchmarks.pages import pages_document
from paste_web.benchmarks.pages_table import pages_text
from paste_web.benchmarks.preemption import preemption_document, preemption_text
from paste_web.benchmarks.throttle import throttle_document
from paste_web.benchmarks.throttle_table import throttle_text
from paste_web.benchmarks.throughput import throughput_document
from paste_web.benchmarks.throughput_table import throughput_text

Tell = Callable[[str], object]


class LiveSection(NamedTuple):
    """`measure` gives JSON, `show` that JSON as text."""

    measure: Callable[[LiveChoices, Tell], dict[str, Any]]
    show: Callable[[Mapping[str, Any]], str]


LIVE_SECTIONS: Mapping[str, LiveSection] = {
    "call": LiveSection(call_document, call_text),
    "mcp": LiveSection(mcp_document, mcp_text),
    "preemption": LiveSection(preemption_document, preemption_text),
    "throughput": LiveSection(throughput_document, throughput_text),
    "throttle": LiveSection(throttle_document, throttle_text),
    "harm": LiveSection(harm_document, harm_text),
    "pages": LiveSection(pages_document, pages_text),
}


def measure_live(sections: Iterable[str], choices: LiveChoices, tell: Tell) -> dict[str, Any]:
    """By name, one after the other, each with workers of its own."""
    return {name: LIVE_SECTIONS[name].measure(choices, tell) for name in sections}
