"""Reading, writing, listing and searching files, inside the sandbox and on the view."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from llmasos.errors import ToolError
from llmasos.events import display
from llmasos.secrets import marked
from llmasos.tools._text import decode, unified
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool

_READS = Capabilities(reads=True, sources={"*": "file"})
_WRITES = Capabilities(reads=True, writes=True, targets=("path",), sources={"*": "system"})
_LISTS = Capabilities(reads=True, sources={"path": "listing", "size": "system", "kind": "system"})
_SEARCHES = Capabilities(reads=True, sources={"path": "listing", "line": "system", "text": "file"})
_LARGEST_EDIT = 8_000_000


@kernel_tool(
    capabilities=_READS,
    examples=[
        ("show me what is in setup.cfg", 'read_file(path="setup.cfg")'),
        ("总结一下 report.txt", 'read_file(path="report.txt")'),
    ],
)
async def read_file(
    ctx: KernelContext,
    path: str,
    offset: Annotated[int, Field(ge=0)] = 0,
    limit: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000,
) -> str:
    """Shows what is in a text file.

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


async def _preview_write(ctx: KernelContext, path: str, content: str) -> str:
    return unified(path, await _text_of(ctx, path), content)


async def _preview_edit(ctx: KernelContext, path: str, old: str, new: str) -> str:
    before = await _text_of(ctx, path)
    text = before or ""
    return unified(path, before, text.replace(old, new, 1) if old else f"{text}{new}")


async def _text_of(ctx: KernelContext, path: str) -> str | None:
    """Return the text of a file; None where there is none."""
    try:
        return (await ctx.sandbox.read(path, limit=_LARGEST_EDIT)).data.decode("utf-8", "replace")
    except ToolError:
        return None


@kernel_tool(
    capabilities=_WRITES,
    block="content",
    preview=_preview_write,
    examples=[
        ("create hello.sh which prints the date", 'write_file(path="hello.sh")\n```\n#!/bin/sh\ndate\n```'),
        ("写一个 shopping.md，列出牛奶和鸡蛋", 'write_file(path="shopping.md")\n```\n- 牛奶\n- 鸡蛋\n```'),
    ],
)
async def write_file(ctx: KernelContext, path: str, content: str) -> str:
    """Makes or replaces a file.

    Args:
        path: The file, relative to the workspace folder.
        content: All of its text.
    """
    _refuse_markers(content)
    if content and not content.endswith("\n"):
        content += "\n"
    await ctx.sandbox.write(path, content.encode())
    return f"Wrote {path}: {content.count(chr(10))} lines, {len(content.encode()):,} bytes."


@kernel_tool(
    capabilities=_WRITES,
    preview=_preview_edit,
    examples=[
        (
            "change the port in server.ini from 80 to 8080",
            'edit_file(path="server.ini", old="80", new="8080")',
        )
    ],
)
async def edit_file(ctx: KernelContext, path: str, old: str, new: str) -> str:
    """Replaces a piece of text in a file.

    Args:
        path: The file, relative to the workspace folder.
        old: The passage as it stands, with enough around it to occur only once; empty for the file's end.
        new: What takes its place.
    """
    _refuse_markers(new)
    content = await ctx.sandbox.read(path, limit=_LARGEST_EDIT)
    if content.size > len(content.data):
        raise ToolError(f"{path} is too large to edit ({content.size:,} bytes).", hint="Use run_python.")
    try:
        text = content.data.decode()
    except UnicodeDecodeError:
        raise ToolError(f"{path} is not UTF-8 text.", hint="Use run_python to edit it.") from None
    if not old:
        text += "" if not text or text.endswith("\n") else "\n"
        await ctx.sandbox.write(path, f"{text}{new}".encode() + b"\n" * (not new.endswith("\n")))
        return f"Added to the end of {path}."
    found = text.count(old)
    if found != 1:
        wrong = "does not occur" if found == 0 else f"occurs {found} times"
        raise ToolError(f"The passage {wrong} in {path}.", hint="Read the file and give a unique passage.")
    await ctx.sandbox.write(path, text.replace(old, new).encode())
    line = text[: text.index(old)].count("\n") + 1
    return f"Edited {path} at line {line}."


@kernel_tool(
    capabilities=_LISTS,
    examples=[
        ("what's in here?", "list_files()"),
        ("docs 目录下有哪些 pdf", 'list_files(path="docs", pattern="*.pdf")'),
    ],
)
async def list_files(ctx: KernelContext, path: str = ".", pattern: str = "*") -> list[dict[str, Any]]:
    """Lists files and folders, with their sizes.

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


@kernel_tool(
    capabilities=_SEARCHES,
    examples=[
        ("where do we use parse_args?", 'search_files(pattern="parse_args")'),
        ("在所有 md 文件里找“合同”", 'search_files(pattern="合同", glob="*.md")'),
    ],
)
async def search_files(
    ctx: KernelContext, pattern: str, path: str = ".", glob: str = "*"
) -> list[dict[str, Any]]:
    """Finds text inside files, like grep.

    Args:
        pattern: A Python regular expression; one without capitals finds them, too.
        path: The folder or file to search, relative to the workspace folder.
        glob: Which file names to search.
    """
    either = pattern if any(map(str.isupper, pattern)) else f"(?i){pattern}"
    found = await ctx.sandbox.search(either, path=path, glob=glob)
    rows: list[dict[str, Any]] = [
        {"path": display(match.path), "line": match.line, "text": match.text[:300]} for match in found.matches
    ]
    if found.omitted:
        rows.append({"path": f"[{found.omitted} more]", "line": 0, "text": ""})
    return rows


def _refuse_markers(text: str) -> None:
    """Keep a marker, which is what a model sees of a secret, from taking the secret's place in a file."""
    if marked(text):
        raise ToolError(
            "A marker [redacted:...] stands for a secret that you cannot see, and would take its place.",
            hint="Change the other lines with edit_file, or with a script.",
        )
