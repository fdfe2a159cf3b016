"""The rules of docs/architecture.md that a program can check."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("paste_web", "speculation", "tools", "tests")
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "services", "manager", "data"}
LONGEST_FILE, LONGEST_FUNCTION = 350, 60  # ceilings; the aim is 250 and 40


def _sources() -> list[Path]:
    """Our own modules: not the projects that demo agents work on nor migrations."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return [path for path in found if path.parent.name != "migrations" and "worlds" not in path.relative_to(ROOT).parts[:-2]]


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


@pytest.mark.slow
def test_imports_point_down_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [path.relative_to(ROOT) for path in _sources() if path.stem in FORBIDDEN_NAMES] == []


def test_no_import_hides_inside_a_function() -> None:
    hidden = [
        _where(path, node.lineno)
        for path in _sources()
        for function in _functions(path)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert hidden == []


def test_no_import_is_for_the_type_checker_alone() -> None:
    assert [_where(path, 1) for path in _sources() if path != Path(__file__) and "TYPE_CHECKING" in path.read_text()] == []


def test_files_and_functions_stay_small() -> None:
    long_files = [_where(path, 1) for path in _sources() if len(path.read_text().splitlines()) > LONGEST_FILE]
    long_functions = [
        _where(path, function.lineno)
        for path in _sources()
        for function in _functions(path)
        if (function.end_lineno or 0) - function.lineno >= LONGEST_FUNCTION
    ]
    assert (long_files, long_functions) == ([], [])


def test_modules_have_docstrings() -> None:
    silent = [
        _where(path, 1)
        for path in _sources()
        if "tests" not in path.parts and len(path.read_text().splitlines()) > 10
        if ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_every_module_that_a_document_names_is_there() -> None:
    there = {path.name for package in PACKAGES for path in (ROOT / package).rglob("*.py")} | {"manage.py"}
    documents = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    named = {(path.name, name) for path in documents for name in re.findall(r"(\w+\.py)`", path.read_text())}
    assert {name for _, name in named} > {"jobs.py", "prediction.py"}, "names are found at all"
    assert {(document, name) for document, name in named if name not in there} == set()
