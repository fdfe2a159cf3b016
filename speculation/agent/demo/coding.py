"""The coding agent: reads an issue, finds the code, runs its tests, repairs one line, runs them again."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from speculation.agent.demo.agent import DemoAgent
from speculation.agent.demo.conversation import Conversation, Done
from speculation.agent.scripted import Turn
from speculation.agent.types import Message
from tools.base import ToolCall


@dataclass(frozen=True)
class Repair:
    """What a programmer would see in the code: `wrong`, a regular expression, and what stands there instead."""

    wrong: str
    right: str


_REPAIRS: Mapping[str, Repair] = MappingProxyType(
    {
        "parse_duration": Repair(r"seconds = (int\(count\))", r"seconds += \1"),
        "add_months": Repair(r"max\((day\.day, last)\)", r"min(\1)"),
        "split_evenly": Repair(r"\[share (for place in)", r"[share + (place < rest) \1"),
        "slugify": Repair(r'"NFC"', '"NFKD"'),
        "from_roman": Repair(r"value <= following", "value < following"),
        "is_newer": Repair(r"return candidate > installed", "return numbers_of(candidate) > numbers_of(installed)"),
        "merge_ranges": Repair(r"start < (merged\[-1\]\[1\])", r"start <= \1"),
        "wrap_words": Repair(r"(len\(lines\[-1\]\)) \+ len\(word\)", r"\1 + 1 + len(word)"),
        "median": Repair(r"ordered\[-middle\]", "ordered[~middle]"),
        "RecentCache": Repair(r"move_to_end\(key, last=False\)", "move_to_end(key)"),
        "split_row": Repair(r'return line\.split\(","\)', "return next(csv.reader([line]))"),
        "to_fahrenheit": Repair(r"celsius \* 5 / 9", "celsius * 9 / 5"),
        "page_count": Repair(r"return items // size", "return -(-items // size)"),
        "extension": Repair(r'name\.split\("\."\)\[1\]', 'name.rsplit(".", 1)[1]'),
        "luhn_is_valid": Repair(r"for character in number\)", "for character in reversed(number))"),
        "top_words": Repair(r"lambda pair: -pair\[1\]\)", "lambda pair: (-pair[1], pair[0]))"),
    }
)
_ISSUES = (
    '"1h 30m" is read as 30 minutes',
    "31 January plus one month fails",
    "A cent is lost when a bill is split",
    "Accented letters vanish from addresses",
    "XXIII is not 23",
    "1.10 is called older than 1.9",
    "Touching ranges stay apart",
    "Lines are one character too long",
    "The median of four values is wrong",
    "The cache forgets what was just used",
    "Commas in quoted fields split the field",
    "100 degrees Celsius become 87 Fahrenheit",
    "The last page is missing",
    "Names with two dots give the wrong extension",
    "Valid card numbers are refused",
    "Equally frequent words come in random order",
)
_TASKS = tuple(f"Fix issue TL-{number}: {title}." for number, title in enumerate(_ISSUES, 101))


def continue_coding(messages: Sequence[Message]) -> Turn:
    """The next turn, from what was read and run so far."""
    talk = Conversation(messages)
    if failure := talk.failure:
        return Turn(f"I could not finish: {failure.tool} answered: {failure.content}")
    issue = talk.last("get_record", table="issues")
    if issue is None:
        return _read_issue(talk.task)
    found = talk.last("search_text")
    if found is None:
        return _search(issue.structured)
    matches = found.structured["matches"]
    source_path, test_path = _places(matches, issue.structured["symbol"])
    source, runs = talk.last("read_file", path=source_path), talk.all("run_command")
    if source is None:
        return _read_and_run(issue.structured, source_path, test_path, _callers(matches, source_path))
    if runs[0].ok:
        return Turn(f"The tests in {test_path} pass already, so there is nothing to repair in {source_path}.")
    edit = talk.last("edit_file")
    if edit is None:
        return _repair(issue.structured, source, runs[0])
    if len(runs) == 1:
        return _run_again(source_path, test_path)
    return _answer(issue.structured, edit, runs)


def _read_issue(task: str) -> Turn:
    number = re.findall(r"TL-\d+", task)[0]
    text = (
        f"I start with the issue itself. {number} should say what goes wrong and where, and who commented on it; the "
        "code comes after that, so that I do not repair something that nobody complained about."
    )
    return Turn(text, [ToolCall("get_record", {"table": "issues", "key": number})])


def _search(issue: Mapping[str, Any]) -> Turn:
    text = (
        f"{issue['issue_id']}: {issue['title']}. It names `{issue['symbol']}`, so I look for that in the code, and at what "
        "was said about the issue. Then I know where to look and what others suspect."
    )
    calls = [ToolCall("search_text", {"pattern": issue["symbol"]})]
    calls += [ToolCall("get_record", {"table": "comments", "key": key}) for key in issue["comments"]]
    return Turn(text, calls)


def _places(matches: Sequence[Mapping[str, Any]], symbol: str) -> tuple[str, str]:
    """The file that defines the symbol, and the file that tests that module."""
    source = next(match["path"] for match in matches if re.match(rf"(def|class) {symbol}\b", match["text"]))
    return source, f"tests/test_{source.rpartition('/')[2]}"


def _callers(matches: Sequence[Mapping[str, Any]], source_path: str) -> list[str]:
    """Other modules of the library that use the symbol, in the order of the search."""
    used_in = dict.fromkeys(match["path"] for match in matches)
    return [path for path in used_in if not path.startswith("tests/") and path != source_path]


def _read_and_run(issue: Mapping[str, Any], source_path: str, test_path: str, callers: Sequence[str]) -> Turn:
    """A module that others use is read along with one of them: a repair must not surprise it."""
    used = f" {callers[0]} uses it, so I look there too." if callers else ""
    text = (
        f"`{issue['symbol']}` is defined in {source_path} and tested in {test_path}. I read both, and the design note on "
        f"{issue['component']}, and run these tests now, to see them fail before I change anything.{used}"
    )
    note = ToolCall("search_documents", {"query": issue["component"]})
    calls = [ToolCall("read_file", {"path": path}) for path in (source_path, test_path, *callers[:1])]
    return Turn(text, [note, *calls, _test_run(test_path)])


def _test_run(test_path: str) -> ToolCall:
    """Tests are programs that may write, so the tool calls their effect unknown and they never run before they are asked for."""
    module = test_path.removesuffix(".py").replace("/", ".")
    return ToolCall("run_command", {"command": f"python3 -B -m unittest {module}"})


def _repair(issue: Mapping[str, Any], source: Done, run: Done) -> Turn:
    path, text = source.structured["path"], source.structured["text"]
    repair = _REPAIRS[issue["symbol"]]
    line = next((line for line in text.split("\n") if re.search(repair.wrong, line)), None)
    if line is None:
        return Turn(f"The tests fail, but {path} does not hold the line that I expected; someone should look at it.")
    failed = re.findall(r"^(?:FAIL|ERROR): (\w+)", run.structured["output"], flags=re.MULTILINE)
    words = (
        f"As expected it fails: {', '.join(failed)}. The design note and the test agree on what should come out, and "
        f"the cause is this line of {path}: `{line.strip()}`. I change that line and leave the rest alone."
    )
    arguments = {"path": path, "old_text": line, "new_text": re.sub(repair.wrong, repair.right, line)}
    return Turn(words, [ToolCall("edit_file", arguments)])


def _run_again(source_path: str, test_path: str) -> Turn:
    text = (
        f"{source_path} is changed. The same tests again: the failing ones have to pass now, and those that passed before "
        "must still pass, or I have only moved the fault to another place."
    )
    return Turn(text, [_test_run(test_path)])


def _answer(issue: Mapping[str, Any], edit: Done, runs: Sequence[Done]) -> Turn:
    before, after = (_failures(run) for run in (runs[0], runs[-1]))
    place = f"{edit.structured['path']}, line {edit.structured['line']}"
    if not runs[-1].ok:
        return Turn(f"{issue['issue_id']} is not fixed: {after} tests still fail after my change in {place}.")
    return Turn(
        f"{issue['issue_id']} is fixed in {place}: `{edit.arguments['old_text'].strip()}` became "
        f"`{edit.arguments['new_text'].strip()}`. Failing tests before: {before}, after: {after}."
    )


def _failures(run: Done) -> int:
    return len(re.findall(r"^(?:FAIL|ERROR): ", run.structured["output"], flags=re.MULTILINE))


CODING = DemoAgent(
    name="coding",
    title="Coding agent",
    description="Repairs a small Python project: reads the issue, finds the code, edits it, and runs its tests.",
    system_prompt="You repair bugs. See the tests fail first, change as little as possible, then run them again.",
    tools=("get_record", "search_text", "search_documents", "read_file", "edit_file", "run_command"),
    world="coding",
    tasks=_TASKS,
    script=continue_coding,
)
