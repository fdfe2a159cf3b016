import time
from pathlib import Path

import pytest

from tools.base import ToolContext, ToolStopped
from tools.computing import compute


def test_it_uses_that_much_of_the_processor(tmp_path: Path) -> None:
    before = time.thread_time()
    compute(0.05, ToolContext(tmp_path))
    assert 0.05 <= time.thread_time() - before < 0.2


def test_it_stops_when_nobody_wants_the_result(tmp_path: Path) -> None:
    before = time.thread_time()
    with pytest.raises(ToolStopped):
        compute(60, ToolContext(tmp_path, should_stop=lambda: time.thread_time() - before > 0.02))
    assert time.thread_time() - before < 1
