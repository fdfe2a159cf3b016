"""What an agent elsewhere finds at our MCP endpoint: its profile's tools, and their answers, early where we guessed right.

Both are asked by the SDK's server on the event loop, and worked out in threads, since the database is waited for there.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import mcp_types as types
from django.db import DatabaseError, InterfaceError, connection
from django.urls import reverse
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter

from speculation.effects import effect_of_tool, reaches_outside
from speculation.remote_calls import Answer, Caller, NotAnswered, ask
from speculation.submission import QueueFull, SubmissionRefused
from speculation.toolbox import BoxedTool, Toolbox
from tools.base import SideEffect, ToolResult
from tools.running import clean_text

logger = logging.getLogger(__name__)

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]

MOST_CALLS = 256
"""Calls that wait at the same time in this process; further ones wait for a thread. A thread that waits costs next to nothing."""
CALLER = "paste.caller"
"""Where a request's scope says who is calling."""
SESSION_META, TASK_META = "paste/session", "paste/task"
"""What a client may say in a call's `_meta`: how it names its session, and the user's words that led to the call."""
LONGEST_NAME_CHARACTERS, LONGEST_SAID_CHARACTERS = 200, 20_000

_BLOCKS: TypeAdapter[list[types.ContentBlock]] = TypeAdapter(list[types.ContentBlock])

_calls = ThreadPoolExecutor(MOST_CALLS, thread_name_prefix="mcp-call")
_looks = ThreadPoolExecutor(4, thread_name_prefix="mcp-look")
"""For what only asks the database: however many calls wait, whoever comes is told at once whether he may."""


async def in_thread(work: Callable[[], T], threads: ThreadPoolExecutor = _looks) -> T:
    """Do it where it may wait; the thread's connection goes back to the pool."""

    def done() -> T:
        try:
            return work()
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(threads, done)


async def list_tools(context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    caller: Caller = context.request.scope[CALLER]
    boxes = await in_thread(lambda: list(Toolbox.of(caller.agent).values()))
    return types.ListToolsResult(tools=[_published(box) for box in boxes])


def _published(box: BoxedTool) -> types.Tool:
    """The definition as our own agents have it, and hints that say what we hold true of it."""
    effect = effect_of_tool(box.record, box.tool)
    hints = types.ToolAnnotations(
        read_only_hint=effect == SideEffect.NONE,
        destructive_hint=effect != SideEffect.NONE,
        idempotent_hint=effect in (SideEffect.NONE, SideEffect.IDEMPOTENT_WRITE),
        open_world_hint=reaches_outside(box.record),
    )
    return types.Tool(
        name=box.tool.name,
        description=box.tool.description,
        input_schema=dict(box.tool.parameters),
        annotations=hints,
    )


async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    """What cannot be run is told as the tool's error, which the agent's model reads; only our own faults are the protocol's."""
    caller: Caller = context.request.scope[CALLER]
    meta = (context.params or {}).get("_meta") or {}
    named = _text(meta, SESSION_META, LONGEST_NAME_CHARACTERS)
    said = _text(meta, TASK_META, LONGEST_SAID_CHARACTERS)
    caller = caller.in_session(named, client=client_named(meta.get(types.CLIENT_INFO_META_KEY)))
    try:
        answer = await in_thread(partial(ask, caller, params.name, params.arguments or {}, said), _calls)
    except QueueFull as refused:
        return _refused(str(refused), {"paste/retry_after_seconds": refused.retry_after_seconds})
    except NotAnswered as refused:
        return _refused(str(refused), {"paste/may_retry": refused.may_retry})
    except SubmissionRefused as refused:
        return _refused(str(refused), {})
    except (DatabaseError, InterfaceError) as problem:
        logger.warning("no call could be taken: %s", type(problem).__name__)
        raise MCPError(
            types.INTERNAL_ERROR, "PASTE's database is away. Whether the call was taken is unknown."
        ) from None
    return _told(context, answer)


def _told(context: Context, answer: Answer) -> types.CallToolResult:
    request = context.request
    seen_at = request.url.replace(path=reverse("session", args=[answer.session_id]), query=f"call={answer.call_id}")
    return _result(answer.result, {"paste/call": answer.call_id, "paste/session_url": str(seen_at)})


def _refused(why: str, meta: Mapping[str, Any]) -> types.CallToolResult:
    return _result(ToolResult(ok=False, content=why), meta)


def _result(result: ToolResult, meta: Mapping[str, Any]) -> types.CallToolResult:
    """Both shapes, as the protocol has it: text for models, and structure, which has to be an object, for programs.

    What another MCP server answered with more than text is passed on as it came.
    """
    structured = result.structured
    text = result.content or ("" if structured is None else json.dumps(structured, ensure_ascii=False))
    told = types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=structured if isinstance(structured, dict) or structured is None else {"result": structured},
        is_error=not result.ok,
        _meta=dict(meta),
    )
    if result.blocks:
        told.content = _BLOCKS.validate_python(result.blocks)
    return told


def _text(meta: Mapping[str, Any], key: str, longest: int) -> str:
    """What cannot be stored, or is no text, counts as not said."""
    value = meta.get(key)
    return clean_text(value[:longest]) if isinstance(value, str) else ""


def client_named(info: Any) -> str:
    """The client as it names itself, e.g. "claude-code 2.1"."""
    if not isinstance(info, Mapping):
        return ""
    named = " ".join(str(info[key]) for key in ("name", "version") if info.get(key))
    return clean_text(named[:LONGEST_NAME_CHARACTERS])


server: Server[Any] = Server(
    "paste",
    title="PASTE",
    instructions="Tools that are run ahead of being asked for, where that is safe. Call them as any others.",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    get_tool_input_schema=lambda name: None,  # no tool of ours takes arguments from headers: nothing to look up
)
