"""Reading, writing, listing and searching files, inside the sandbox and on the view."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from llmasos.errors import ToolError
from llmasos.events import display
from llmasos.tools._text import decode
from llmasos.tools.tool import Capabilities, ToolContext, tool

_READS = Capabilities(reads=True)
_WRITES = Capabilities(reads=True, writes=True, targets=("path",))
_LARGEST_EDIT = 8_000_000


@tool(
    capabilities=_READS,
    examples=[("what does setup.cfg say?", 'read_file(path="setup.cfg")')],
)
async def read_file(
    ctx: ToolContext,
    path: str,
    offset: Annotated[int, Field(ge=0)] = 0,
    limit: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000,
) -> str:
    """Return the text of a file.

    Args:
        path: The file, relative to the workspace folder.
        offset: Bytes to skip.
        limit: Bytes to return at most.
    """
    content = await ctx.sandbox.read(path, offset=offset, limit=limit)
    end = offset + len(content.data)
    text = decode(content.data, path, partial=end < content.size)
    if end < content.size:
        text += f"\n[{path} has {content.size:,} bytes; read on with offset={end}]"
    return text


@tool(
    capabilities=_WRITES,
    block="content",
    examples=[
        (
            "create todo.md with three items: milk, bread, tea",
            'write_file(path="todo.md")\n```\n- milk\n- bread\n- tea\n```',
        )
    ],
)
async def write_file(ctx: ToolContext, path: str, content: str) -> str:
    """Write a text file, replacing what it held.

    Args:
        path: The file, relative to the workspace folder.
        content: All of its text.
    """
    if content and not content.endswith("\n"):
        content += "\n"
    await ctx.sandbox.write(path, content.encode())
    return f"Wrote {path}: {content.count(chr(10))} lines, {len(content.encode()):,} bytes."


@tool(
    capabilities=_WRITES,
    examples=[
        (
            "change the port in server.ini from 80 to 8080",
            'edit_file(path="server.ini", old="80", new="8080")',
        )
    ],
)
async def edit_file(ctx: ToolContext, path: str, old: str, new: str) -> str:
    """Replace a passage that occurs exactly once in a file.

    Args:
        path: The file, relative to the workspace folder.
        old: The passage as it stands, with enough around it to be unique.
        new: What takes its place.
    """
    if not old:
        raise ToolError("The passage to replace is empty.", hint="Use write_file to create a file.")
    content = await ctx.sandbox.read(path, limit=_LARGEST_EDIT)
    if content.size > len(content.data):
        raise ToolError(f"{path} is too large to edit ({content.size:,} bytes).", hint="Use run_python.")
    try:
        text = content.data.decode()
    except UnicodeDecodeError:
        raise ToolError(f"{path} is not UTF-8 text.", hint="Use run_python to edit it.") from None
    found = text.count(old)
    if found != 1:
        wrong = "does not occur" if found == 0 else f"occurs {found} times"
        raise ToolError(f"The passage {wrong} in {path}.", hint="Read the file and give a unique passage.")
    await ctx.sandbox.write(path, text.replace(old, new).encode())
    line = text[: text.index(old)].count("\n") + 1
    return f"Edited {path} at line {line}."


@tool(
    capabilities=_READS,
    examples=[("这个文件夹里有哪些 Markdown 文件？", 'list_files(pattern="*.md")')],
)
async def list_files(ctx: ToolContext, path: str = ".", pattern: str = "*") -> list[dict[str, Any]]:
    """List files below a folder with their sizes in bytes.

    Args:
        path: The folder, relative to the workspace folder.
        pattern: A glob on the name, or on the path if it has a slash.
    """
    listing = await ctx.sandbox.list(path, pattern=pattern)
    rows: list[dict[str, Any]] = [
        {"path": display(entry.path), "size": entry.size, "kind": entry.kind} for entry in listing.entries
    ]
    if listing.omitted:
        rows.append({"path": f"[{listing.omitted} more]", "size": 0, "kind": "omitted"})
    return rows


@tool(
    capabilities=_READS,
    examples=[("where is TODO written in the sources?", 'search_files(pattern="TODO", glob="*.py")')],
)
async def search_files(
    ctx: ToolContext, pattern: str, path: str = ".", glob: str = "*"
) -> list[dict[str, Any]]:
    """Find lines that match a regular expression.

    Args:
        pattern: A Python regular expression.
        path: The folder or file to search, relative to the workspace folder.
        glob: Which file names to search.
    """
    found = await ctx.sandbox.search(pattern, path=path, glob=glob)
    rows: list[dict[str, Any]] = [
        {"path": display(match.path), "line": match.line, "text": match.text[:300]} for match in found.matches
    ]
    if found.omitted:
        rows.append({"path": f"[{found.omitted} more]", "line": 0, "text": ""})
    return rows
