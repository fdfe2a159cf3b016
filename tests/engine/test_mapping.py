"""Sources have a text form that operators edit, bind late, and never make a value up."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speculation.engine.discovery import discover
from speculation.engine.identity import key_of
from speculation.engine.mapping import Missing, Source, SourceError, parse_source, resolve
from speculation.engine.memory import Memory
from speculation.engine.roster import Roster
from speculation.engine.types import Event, EventKind
from speculation.engine.value_choice import ValueChoice
from speculation.engine.views import View

QUICK = settings(max_examples=60, deadline=None)
FIELDS = st.sampled_from(["id", "name", "orders", "path", "items"])
WORDS = st.text("abcXYZ019_#/.", min_size=1, max_size=10)
SCALARS = WORDS | st.integers(0, 999)
RESULTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=3), max_leaves=8
)
SOURCES = st.builds(
    parse_source,
    st.sampled_from(
        [
            "result(look).id",
            "item 1 of result(look).orders[*]",
            "item -1 of results(look)[*].id",
            "next 0 of any().id",
            "next 2 of result(look).items[*].name",
            "following of result(look)[*]",
            "each of result(look).orders[*]",
            "argument(look).id",
            "next 0 of arguments(look).name",
            "next 0 of user()~a",
            "item 0 of text(look)~path",
            "basename(item 0 of user()~path)",
            "dirname(result(look).path)",
            "first_word(item 0 of user()~Aa Aa)",
            "number(item 0 of user()~9)",
            "list(result(look).id)",
            '"#" + result(look).id + ""',
            '"/app/" + each of work()~unplaced + ""',
        ]
    ),
)


@st.composite
def memories(draw: st.DrawFn) -> tuple[Memory, str]:
    """A memory, and everything it was ever told, as one text."""
    memory, told = Memory(), []
    for turn in range(draw(st.integers(0, 4))):
        text = " ".join(draw(st.lists(WORDS, max_size=4)))
        arguments = draw(st.dictionaries(FIELDS, SCALARS, max_size=2))
        result = draw(RESULTS)
        memory.observe(Event(EventKind.USER, text=text))
        memory.observe(Event(EventKind.TOOL, turn, tool="look", status="ok", arguments=arguments, result=result))
        told += [text, *map(str, arguments.values()), result if isinstance(result, str) else json.dumps(result)]
    return memory, "\n".join(told)


def pieces(value: Any) -> list[str]:
    return [piece for item in value for piece in pieces(item)] if isinstance(value, list) else [str(value)]


@QUICK
@given(memories(), SOURCES)
def test_a_mapping_never_invents_a_value_it_cannot_point_to(known: tuple[Memory, str], source: Source) -> None:
    memory, told = known
    value = resolve(source, memory, "fetch", "id")
    if isinstance(value, Missing):
        assert value.reason
        return
    for piece in pieces(value):
        assert piece.removeprefix(source.prefix).removesuffix(source.suffix) in told


def test_nothing_is_composed_of_a_whole_list() -> None:
    memory = Memory()
    memory.observe(Event(EventKind.TOOL, 1, tool="look", status="ok", arguments={}, result={"id": ["0"]}))
    found = resolve(parse_source('"#" + result(look).id + ""'), memory, "fetch", "id")
    assert isinstance(found, Missing) and found.reason == "no single value"


@QUICK
@given(memories(), SCALARS)
def test_every_discovered_source_leads_to_the_value_and_survives_its_text_form(
    known: tuple[Memory, str], value: Any
) -> None:
    memory, _ = known
    for source in discover(memory, "fetch", "id", value):
        assert parse_source(str(source)) == source
        assert leads_to(source, memory, value)


def leads_to(source: Source, memory: Memory, value: Any) -> bool:
    """A source of each element of a list leads to all of them: which one is meant is learned."""
    if source.selector == "each":
        return key_of(value) in memory.view(source.family).index
    return key_of(resolve(source, memory, "fetch", "id")) == key_of(value)


def test_a_list_of_files_leads_to_one_that_is_not_its_first() -> None:
    memory = Memory()
    for turn, (arguments, result) in enumerate([({"q": "0/"}, ["0/ it is"]), ({"q": "/"}, "no list")]):
        memory.observe(Event(EventKind.TOOL, turn, tool="look", status="ok", arguments=arguments, result=result))
    found = [source for source in discover(memory, "fetch", "id", "/") if source.selector == "each"]
    assert found and all(leads_to(source, memory, "/") for source in found)


@QUICK
@given(SOURCES)
def test_a_sources_text_form_reads_back_as_itself(source: Source) -> None:
    assert parse_source(str(source)) == source


@QUICK
@given(memories(), st.lists(SOURCES, max_size=6, unique_by=str), st.booleans())
def test_sources_resolved_together_have_the_values_they_have_alone(
    known: tuple[Memory, str], sources: list[Source], fresh_only: bool
) -> None:
    memory, _ = known
    roster = Roster("look", "id", {str(source): [0.0] * 4 for source in sources})
    options = roster.options(memory, fresh_only)
    together = {index: key for key, option in options.items() for index in option.sources}
    used = memory.used.get(("look", "id"), {})
    for index, source in enumerate(sources):
        alone = resolve(source, memory, "look", "id")
        if source.family.kind == "work":
            listed = memory.workspace.values(source.family.path[1:])
            assert {k for k, o in options.items() if index in o.sources} == {source.prefix + name for name in listed}
        elif source.selector == "each":
            fresh = [key for key in memory.view(source.family).keys if key not in used]
            assert {k for k, o in options.items() if index in o.sources} == set(fresh if len(fresh) > 1 else ())
        elif isinstance(alone, Missing) or (fresh_only and key_of(alone) in used):
            assert index not in together
        else:
            assert together[index] == key_of(alone)


@pytest.mark.parametrize(
    "text", ["", "orders[*]", "= not json", "next -1 of result(a).b", '"#" + ', "item 2 of somewhere"]
)
def test_a_text_that_is_no_source_says_what_was_expected(text: str) -> None:
    with pytest.raises(SourceError, match="expected"):
        parse_source(text)


def remember(*results: tuple[str, dict[str, Any], Any]) -> Memory:
    memory = Memory()
    for tool, arguments, result in results:
        memory.observe(Event(EventKind.TOOL, tool=tool, status="ok", arguments=arguments, result=result))
    return memory


def value_of(text: str, memory: Memory, tool: str = "fetch", argument: str = "id") -> Any:
    return resolve(parse_source(text), memory, tool, argument)


def test_iteration_moves_on_as_elements_are_used() -> None:
    memory = remember(("look", {}, {"orders": ["a", "b", "c"]}))
    assert value_of("next 0 of result(look).orders[*]", memory) == "a"
    memory.observe(Event(EventKind.TOOL, tool="fetch", status="ok", arguments={"id": "b"}, result="x"))
    assert value_of("next 0 of result(look).orders[*]", memory) == "a"
    assert value_of("next 1 of result(look).orders[*]", memory) == "c"
    assert value_of("following of result(look).orders[*]", memory) == "c"


def test_the_latest_result_hides_older_ones_but_results_keeps_them() -> None:
    memory = remember(("look", {}, {"id": "old"}), ("look", {}, {"id": "new"}))
    assert value_of("result(look).id", memory) == "new"
    assert value_of("item 1 of results(look).id", memory) == "old"


def test_a_failed_call_is_no_source() -> None:
    memory = Memory()
    memory.observe(Event(EventKind.TOOL, tool="look", status="error", arguments={}, result={"id": "x"}))
    assert value_of("result(look).id", memory) == Missing("nothing at result(look).id")


def test_before_anything_was_learned_an_element_that_shares_words_with_the_question_is_likelier() -> None:
    memory = Memory()
    memory.observe(Event(EventKind.USER, text="What controversy was there about Fallout?"))
    sections = [{"id": f"fallout:{name}"} for name in ("gameplay", "plot", "controversies")]
    memory.observe(Event(EventKind.TOOL, tool="look", status="ok", result=repr(sections)))
    options = list(Roster("fetch", "id", {"each of result(look)[*].id": [0.0] * 4}).options(memory, True).values())
    chances = [after for after, _ in ValueChoice().chances(options, "")]
    assert options[chances.index(max(chances))].value == "fallout:controversies"


def test_values_are_composed_from_parts() -> None:
    memory = remember(("look", {}, {"file": "src/app/main.py", "id": "W1"}))
    assert value_of("basename(result(look).file)", memory) == "main.py"
    assert value_of("dirname(result(look).file)", memory) == "src/app"
    assert value_of('"#" + result(look).id + ""', memory) == "#W1"


def test_parts_of_a_name_are_found_in_the_users_words() -> None:
    memory = Memory()
    memory.observe(Event(EventKind.USER, text="Hello, my name is Yusuf Rossi and my zip is 19122."))
    assert value_of("first_word(item 0 of user()~Aa Aa)", memory) == "Yusuf"
    assert "last_word(item 0 of user()~Aa Aa)" in map(str, discover(memory, "find", "last_name", "Rossi"))


def test_a_value_that_holds_a_known_one_is_found_as_a_template_with_a_hole() -> None:
    memory = remember(("look", {}, {"slug": "red-panda", "n": 7}))
    found = map(str, discover(memory, "fetch", "id", "https://example.org/animals/red-panda.html"))
    assert '"https://example.org/animals/" + result(look).slug + ".html"' in found


def test_a_relative_name_is_found_below_the_directory_that_it_was_read_in() -> None:
    memory = Memory()
    memory.observe(Event(EventKind.USER, text="See src/a.go and docs/b.md"))
    found = [str(source) for source in discover(memory, "read", "path", "/app/docs/b.md")]
    assert found[0] == '"/app/" + each of work()~unplaced + ""'
    assert all("unplaced" not in str(source) for source in discover(memory, "read", "path", "/app/docs/c.md"))
    assert all("unplaced" not in str(source) for source in discover(memory, "read", "path", "/app/xdocs/b.md"))


def test_a_place_put_together_from_others_says_what_they_say() -> None:
    older, newer = View(["red shoes", "blue hats"], [{"note": "warm"}, None]), View(["blue hats", "green socks"])
    both = View.together([newer, older])
    assert both.values == ["blue hats", "green socks", "red shoes"]
    assert both.words(2) == older.words(0) == ["red", "shoes", "warm"]
    assert both.words(0) == newer.words(0)
