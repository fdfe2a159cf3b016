"""The research agent: searches the library, reads the best pages, and answers with what it read and where."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from speculation.agent.demo.agent import DemoAgent
from speculation.agent.demo.conversation import Conversation
from speculation.agent.scripted import Turn
from speculation.agent.types import Message
from tools.base import ToolCall

Page = Mapping[str, Any]
"""The structured result of fetch_page: url, title, text, links."""

ENOUGH_PAGES = 4
_TASKS = (
    'Compare "lead-cooled fast reactor" and "sodium-cooled fast reactor": how does the metal react with air and water?',
    'Compare "lithium iron phosphate battery" and "sodium-ion battery": how many watt-hours per kilogram?',
    'Compare "suspension bridge" and "cable-stayed bridge": how many metres do the longest main spans reach?',
    'Compare "shield volcano" and "stratovolcano": how fast do their flows move?',
    'Compare "atomic clock" and "quartz clock": by how much of a second do they err or drift?',
    'Compare "B-tree" and "log-structured merge tree": what happens on random inserts and writes?',
    'Compare "refracting telescope" and "reflecting telescope": how are the lens and the mirror held or supported?',
    'Compare "aluminium" and "steel": what does melting scrap save?',
    'Compare "Gulf Stream" and "thermohaline circulation": what is it driven by?',
    'Compare "nitrogen fixation" and "mycorrhiza": which bacteria or fungus brings what to the roots?',
    'Compare "molten salt reactor" and "pressurised water reactor": what keeps the coolant from boiling?',
    'Compare "lead-acid battery" and "lithium iron phosphate battery": what harm comes of being left discharged or charging below freezing?',
    'Compare "arch bridge" and "truss bridge": do the loads turn into compression or are members pulled and pushed?',
    'Compare "leap second" and "time zone": what should programs and other software do?',
    'Compare "titanium" and "copper": what does oxygen or other elements spoil?',
    'Compare "hash table" and "Bloom filter": what goes wrong with an absent key, or with keys that collide?',
)
_FILLERS = re.compile(
    r"\b(?:an?|and|are|as|at|be|by|do|does|each|for|from|how|in|is|it|its|of|on|or|that|the|their|they|to|what|which|with)\b"
)


def continue_research(messages: Sequence[Message]) -> Turn:
    """The next turn, from the hits and the pages seen so far."""
    talk = Conversation(messages)
    first, second, question = read_task(talk.task)
    if failure := talk.failure:
        return Turn(f"I could not finish: {failure.tool} answered: {failure.content}")
    searches, pages = talk.all("search_documents"), [done.structured for done in talk.all("fetch_page")]
    if not searches:
        return _search_first(first, second)
    unread = _unread_hits(searches[-1].structured["hits"], pages)
    if len(searches) == 1 and not pages:
        return _read_first(first, unread)
    if len(searches) == 1:
        return _search_second(second, question, pages)
    if not {page["url"] for page in pages}.intersection(hit["url"] for hit in searches[-1].structured["hits"][:1]):
        return _read_second(second, unread)
    if link := _link_worth_reading(pages):
        return _follow(link, pages[-1])
    return _answer([first, second], question, pages)


def read_task(task: str) -> tuple[str, str, str]:
    """The two subjects in quotation marks, and the question about both."""
    first, second = re.findall(r'"([^"]+)"', task)
    return first, second, task.rpartition('": ')[2]


def _search_first(first: str, second: str) -> Turn:
    text = (
        f"Two subjects are to be compared, {first} and {second}. I will look for a page on each of them and rely on nothing "
        f"but what those pages say. The first search is for {first}."
    )
    return Turn(text, [_search(first)])


def _read_first(first: str, unread: Sequence[Page]) -> Turn:
    """Two pages at once: the best hit, and the next best to see what stands beside it."""
    chosen = unread[:2]
    text = (
        f'The best hit for {first} is "{chosen[0]["title"]}". An excerpt is not enough to quote, so I open the page itself, '
        "and the runner-up along with it, because it may hold the other half of the comparison."
    )
    return Turn(text, [_fetch(hit["url"]) for hit in chosen])


def _search_second(second: str, question: str, pages: Sequence[Page]) -> Turn:
    """If the second subject's page came up already, the question itself is the better query."""
    is_read = any(page["title"].lower() == second.lower() for page in pages)
    reason = (
        "its page was among those I read, so I look for others on the question" if is_read else "I search for it now"
    )
    text = (
        f"I have read {_titles(pages)}. That covers one side. As for {second}: {reason}. What I look for is an answer to "
        f'"{question}" that I can quote.'
    )
    return Turn(text, [_search(question if is_read else second)])


def _read_second(second: str, unread: Sequence[Page]) -> Turn:
    chosen = unread[:2]
    text = (
        f"Next I open {_titles(chosen)}. With these I should have what the library holds on {second}, and can put the two "
        "sides next to each other without guessing."
    )
    return Turn(text, [_fetch(hit["url"]) for hit in chosen])


def _link_worth_reading(pages: Sequence[Page]) -> Page | None:
    """The first unread link of the first page, as long as little has been read."""
    if len(pages) >= ENOUGH_PAGES:
        return None
    read = {page["url"] for page in pages}
    return next((link for link in pages[0]["links"] if link["url"] not in read), None)


def _follow(link: Page, page: Page) -> Turn:
    text = (
        f'Some hits I knew already, so I have read less than I wanted. The first page refers to "{link["text"]}" as related; '
        "I read that too, in case it corrects or limits what I am about to say."
    )
    return Turn(text, [_fetch(link["url"])])


def _answer(subjects: Sequence[str], question: str, pages: Sequence[Page]) -> Turn:
    findings = [_finding(subject, question, pages) for subject in subjects]
    others = [page["title"] for page in pages if page["title"].lower() not in [subject.lower() for subject in subjects]]
    also = f" I also read {', '.join(others)}, which changed nothing." if others else ""
    return Turn(" ".join(findings) + also)


def _finding(subject: str, question: str, pages: Sequence[Page]) -> str:
    page = max(pages, key=lambda page: len(_words(subject) & _words(page["title"])))
    if not _words(subject) & _words(page["title"]):
        return f"On {subject} I found no page."
    sentence = max(_sentences(page["text"]), key=lambda sentence: len(_words(question) & _words(sentence)))
    return f'{page["title"]}: "{sentence}" ({page["url"]})'


def _sentences(text: str) -> Iterator[str]:
    """Sentences of the paragraphs; headings and lists of links are none."""
    for line in text.split("\n"):
        if not line.startswith(("#", "-")):
            yield from (sentence for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", line) if sentence)


def _words(text: str) -> set[str]:
    """Words that mean something, without endings: enough to find the sentence that a question is about."""
    words = re.findall(r"[a-z0-9]+", _FILLERS.sub(" ", text.lower()))
    return {re.sub(r"(?:ing|ed|es|e|s)$", "", word) for word in words}


def _unread_hits(hits: Sequence[Page], pages: Sequence[Page]) -> list[Page]:
    read = {page["url"] for page in pages}
    return [hit for hit in hits if hit["url"] not in read]


def _titles(pages: Sequence[Page]) -> str:
    return " and ".join(f'"{page["title"]}"' for page in pages)


def _search(query: str) -> ToolCall:
    return ToolCall("search_documents", {"query": query})


def _fetch(url: str) -> ToolCall:
    return ToolCall("fetch_page", {"url": url})


RESEARCH = DemoAgent(
    name="research",
    title="Research assistant",
    description="Searches a small library, reads the best pages over HTTP, and answers with quotations.",
    system_prompt="You compare two subjects. Read the pages before you answer, and quote what you rely on with its address.",
    tools=("search_documents", "fetch_page"),
    world="research",
    tasks=_TASKS,
    script=continue_research,
)
