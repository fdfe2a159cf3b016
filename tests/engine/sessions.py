"""Small, regular sessions for the engine's tests: research, support and coding agents, and the tools they use."""

from collections.abc import Sequence

from speculation.engine.mining import Miner
from speculation.engine.types import Event, EventKind, Pattern, ToolTraits

READS = {
    name: ToolTraits(name, reads_only=True, changes_world=False)
    for name in ("search", "fetch", "list_files", "read_file", "get_user", "get_orders", "get_details")
}
TOOLS = {**READS, "update": ToolTraits("update", reads_only=False, changes_world=True)}
SHELL = ToolTraits(
    "shell",
    reads_only=True,
    changes_world=True,
    shell_argument="command",
    reads_call=lambda arguments: str(arguments["command"]).startswith("cat"),
)
READ = ToolTraits(
    "read", reads_only=True, changes_world=False, covers=frozenset({"offset"}), cosmetic_arguments=frozenset({"why"})
)
THINK = ToolTraits("think", reads_only=False, changes_world=False)
EVERY_TOOL = {**TOOLS, "shell": SHELL, "read": READ, "think": THINK}
"""And those that are judged call by call, that cut parts out of a whole, and that touch nothing."""


def user(text: str) -> Event:
    return Event(EventKind.USER, text=text)


def call(turn: int, tool: str, result: object, **arguments: object) -> list[Event]:
    """A model turn that calls one tool, and the tool's answer."""
    return [
        Event(EventKind.LLM, turn=turn),
        Event(EventKind.TOOL, turn=turn, tool=tool, status="ok", arguments=arguments, result=result),
    ]


def research(topic: str, pages: Sequence[str]) -> list[Event]:
    hits = {"hits": [{"url": f"https://example.org/{page}", "title": page} for page in pages]}
    events = [user(f"Find out about {topic}"), *call(1, "search", hits, query=topic)]
    for turn, page in enumerate(pages, start=2):
        events += call(turn, "fetch", f"The page {page}", url=f"https://example.org/{page}")
    return [*events, Event(EventKind.LLM, turn=len(pages) + 2, text="Done.")]


def support(user_id: str, orders: Sequence[str]) -> list[Event]:
    events = [
        user(f"I am {user_id}, where are my orders?"),
        *call(1, "get_user", {"user_id": user_id, "name": "Some One"}, user_id=user_id),
        *call(2, "get_orders", {"orders": [{"id": order} for order in orders]}, user_id=user_id),
    ]
    for turn, order in enumerate(orders, start=3):
        events += call(turn, "get_details", {"id": order, "state": "sent"}, order_id=order)
    return [*events, Event(EventKind.LLM, turn=len(orders) + 3, text="All sent.")]


def coding(folder: str, files: Sequence[str]) -> list[Event]:
    events = [user(f"Fix {folder}"), *call(1, "list_files", "\n".join(f"{folder}/{f}" for f in files), path=folder)]
    for turn, name in enumerate(files, start=2):
        events += call(turn, "read_file", f"contents of {name}", path=f"{folder}/{name}")
    return [*events, Event(EventKind.LLM, turn=len(files) + 2, text="Fixed.")]


def browsing(folder: str, files: Sequence[str]) -> list[Event]:
    """A directory whose listing gives names alone, and the first of these files."""
    listing = "\n".join(f"[FILE] {name}" for name in files)
    return [
        user("What is in my notes?"),
        *call(1, "list_files", listing, path=folder),
        *call(2, "read_file", f"contents of {files[0]}", path=f"{folder}/{files[0]}"),
        Event(EventKind.LLM, turn=3, text="That."),
    ]


def mine(*sessions: list[Event]) -> list[Pattern]:
    miner = Miner("agent", tools=TOOLS)
    for events in sessions:
        miner.observe_session(events)
    return miner.patterns()
