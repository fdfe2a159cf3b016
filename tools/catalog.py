"""Every tool by server and name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tools import mcp_client, recorded
from tools.base import Tool, UnknownTool
from tools.builtin.edit_file import EditFile
from tools.builtin.fetch_page import FetchPage
from tools.builtin.get_record import GetRecord
from tools.builtin.list_files import ListFiles
from tools.builtin.list_records import ListRecords
from tools.builtin.query_table import QueryTable
from tools.builtin.read_file import ReadFile
from tools.builtin.run_command import RunCommand
from tools.builtin.search_documents import SearchDocuments
from tools.builtin.search_text import SearchText
from tools.builtin.update_record import UpdateRecord
from tools.builtin.write_file import WriteFile

_ALL: tuple[Tool, ...] = (
    EditFile(),
    FetchPage(),
    GetRecord(),
    ListFiles(),
    ListRecords(),
    QueryTable(),
    ReadFile(),
    RunCommand(),
    SearchDocuments(),
    SearchText(),
    UpdateRecord(),
    WriteFile(),
)

RECORDED = "recorded."

_NO_DEFINITION: Mapping[str, Any] = MappingProxyType({})

BUILTIN: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in _ALL})
"""The tools that come with the product, by name: server "builtin"."""


def find(server: str, name: str, definition: Mapping[str, Any] = _NO_DEFINITION) -> Tool:
    """The tool `name` of `server`: "builtin", or one that is all in its stored `definition`: of "recorded.<source>", or of an
    MCP server.

    Raises UnknownTool, which says what there is.
    """
    if server.startswith(RECORDED):
        return recorded.from_definition(name, definition)
    if definition.get("kind") == mcp_client.KIND:
        return mcp_client.McpTool(server, definition)
    if server != "builtin":
        raise UnknownTool(f"There is no server {server!r}; there are 'builtin', '{RECORDED}<source>' and MCP servers.")
    if name not in BUILTIN:
        raise UnknownTool(f"There is no tool {name!r}; there are {', '.join(sorted(BUILTIN))}.")
    return BUILTIN[name]
