"""What an MCP server says of its tools, as models are told of them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from llmasos.errors import ToolError
from llmasos.tools.schema import check_schema

if TYPE_CHECKING:
    from mcp import Client

_PAGES, _MOST_TOOLS = 50, 1000
_LONGEST_DESCRIPTION = 500


class RemoteTool(BaseModel):
    """A tool of a server.

    Args:
        name: As models are offered it: the server's name, and its own.
        remote: As the server calls it.
        description: One line.
        parameters: JSON schema of the arguments.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    remote: str
    description: str
    parameters: dict[str, Any]


async def all_tools(client: Client) -> list[Any]:
    """Return all pages of a server's tools, as far as they may go."""
    found: list[Any] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        found += page.tools
        cursor = page.next_cursor
        if not cursor or len(found) > _MOST_TOOLS:
            break
    return found[:_MOST_TOOLS]


def as_told(server: str, tools: Iterable[Any]) -> list[RemoteTool]:
    """Return tools as models are told of them, each by a name of its own.

    Args:
        server: The server's name.
        tools: As the server has them.

    Raises:
        ToolError: The schema of one is none, or too large.
    """
    found: list[RemoteTool] = []
    for tool in sorted(tools, key=lambda tool: str(tool.name)):
        found.append(_remote(server, tool, {one.name for one in found}))
    return found


def _remote(server: str, tool: Any, taken: Collection[str]) -> RemoteTool:
    """Return a tool as models are told of it.

    Raises:
        ToolError: Its schema is none, or too large.
    """
    schema = {name: value for name, value in tool.input_schema.items() if name != "$schema"}
    try:
        check_schema(schema)
    except ToolError as error:
        raise ToolError(f"The MCP server {server} has a tool {tool.name}: {error.message}") from error
    stem = re.sub(r"[^a-z0-9_]+", "_", f"{server}_{tool.name}".lower())[:60]
    # Names that differ in what models cannot say are told apart by a number.
    name = next(
        one for one in (stem, *(f"{stem}_{n}" for n in range(2, _MOST_TOOLS + 2))) if one not in taken
    )
    words = " ".join((tool.description or tool.title or tool.name).split())
    shown = words[:_LONGEST_DESCRIPTION] + (" …" if len(words) > _LONGEST_DESCRIPTION else "")
    return RemoteTool(name=name, remote=tool.name, description=shown, parameters=schema)


def fits(name: str, globs: Sequence[str]) -> bool:
    """Return whether a name matches one of some globs."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)
