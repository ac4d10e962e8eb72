"""Who may have written what a tool returns."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping

from llmasos.decisions import TRUSTED, Source, SourceKind
from llmasos.tools import Tool

_REST = "*"


def label(
    tool: Tool, arguments: Mapping[str, object], value: object, text: str, action: str = ""
) -> list[tuple[str, Source]]:
    """Return the texts of a tool's result, each with its source.

    Args:
        tool: The tool.
        arguments: What it was called with; a file that it read is named by its `path`.
        value: What it returned; None when it failed.
        text: What the model gets of it.
        action: The action.
    """
    rows = [value] if isinstance(value, Mapping) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        return [(text, label_text(tool, arguments, action))]
    texts: dict[Source, list[str]] = {}
    for row in rows:
        kinds = {str(field): _kind(tool, str(field)) for field in row}
        place = next((str(row[field]) for field in row if kinds[str(field)] == "listing"), "")
        for field, cell in row.items():
            kind = kinds[str(field)]
            name = place if kind == "file" and place else _name(tool, arguments, kind, str(field))
            source = Source(kind=kind, name=name, action=action)
            texts.setdefault(source, []).append(_text(cell))
    return [("\n".join(cells), source) for source, cells in texts.items()]


def label_text(tool: Tool, arguments: Mapping[str, object], action: str = "") -> Source:
    """Return the source of all that a tool returned, told by the least trusted of its fields."""
    kinds = [_kind(tool, _REST), *tool.capabilities.sources.values()]
    if _REST not in tool.capabilities.sources and tool.capabilities.sources:
        kinds = kinds[1:]
    kind = next((kind for kind in kinds if kind not in TRUSTED), kinds[0])
    return Source(kind=kind, name=_name(tool, arguments, kind, ""), action=action)


def describe(tool: Tool) -> list[tuple[str, Source]]:
    """Return what models are told of a tool that is not ours, with its source; of ours, nothing."""
    if not tool.origin:
        return []
    kind: SourceKind = "mcp" if tool.origin.startswith("mcp:") else "tool"
    told = [
        tool.description,
        json.dumps(tool.parameters, ensure_ascii=False),
        *(f"{example.request}\n{example.call}" for example in tool.examples),
    ]
    return [("\n".join(told), Source(kind=kind, name=f"description of {tool.name}"))]


def _kind(tool: Tool, field: str) -> SourceKind:
    sources = tool.capabilities.sources
    return sources.get(field) or sources.get(_REST) or "unknown"


def _name(tool: Tool, arguments: Mapping[str, object], kind: SourceKind, field: str) -> str:
    path = arguments.get("path")
    if kind == "file" and isinstance(path, str) and path:
        return posixpath.normpath(path)
    links = (arguments.get(name) for name in tool.capabilities.reaches)
    if kind == "web" and (link := next((link for link in links if isinstance(link, str) and link), "")):
        return link
    if kind == "output":
        return f"{tool.name} output"
    return f"{tool.name}.{field}" if field else tool.name


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)
