"""Whether servers are started is decided from the words of the command line alone."""

import pytest

import manage
from paste_web.benchmarks import names
from paste_web.benchmarks.live import LIVE_SECTIONS
from speculation.benchmarking import SECTIONS


def test_every_section_has_its_name() -> None:
    assert set(names.ENGINE) == set(SECTIONS)
    assert set(names.LIVE) == set(LIVE_SECTIONS)


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        ("mining", False),
        ("predict observe --events 3000 --format json", False),
        ("--patterns 10 observe", False),
        ("call", True),
        ("mining call", True),
        ("harm --pairs 4", True),
        ("", True),
        ("--format json", True),
    ],
)
def test_only_live_sections_need_servers(words: str, needs: bool) -> None:
    assert names.needs_servers(words.split()) is needs
    assert manage._is_without_servers(["benchmark", *words.split()]) is not needs


def test_help_needs_none() -> None:
    assert manage._is_without_servers(["benchmark", "call", "--help"])
