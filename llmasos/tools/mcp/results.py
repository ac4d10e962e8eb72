"""What an MCP server returns, as tools of ours return it: a text, and pictures and files for the person."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llmasos.errors import ToolError
from llmasos.sandbox import LARGEST_ARTIFACT, MOST_ARTIFACTS

if TYPE_CHECKING:
    from mcp.types import CallToolResult

LARGEST_RESULT = 500_000
"""Characters that a model may be told."""


def text_of(result: CallToolResult) -> str:
    """Return what a model is told.

    Raises:
        ToolError: The server says that the call failed.
    """
    text = "\n".join(filter(None, map(_text, result.content)))
    if not text and result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False, default=str)
    if len(text) > LARGEST_RESULT:
        text = f"{text[:LARGEST_RESULT]}\n[{len(text) - LARGEST_RESULT:,} more characters were left out]"
    if result.is_error:
        raise ToolError(text or "The server says that the call failed.")
    return text


def files_of(result: CallToolResult) -> list[tuple[str, bytes]]:
    """Return pictures, sounds and files, each with a name."""
    found = (_file(block) for block in result.content)
    return [file for file in found if file is not None and len(file[1]) <= LARGEST_ARTIFACT][:MOST_ARTIFACTS]


def _text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource":
        inner = getattr(block.resource, "text", None)
        return str(inner) if inner is not None else f"[a file for the person: {block.resource.uri}]"
    if block.type == "resource_link":
        return f"[{block.name}: {block.uri}]"
    return f"[for the person: {block.mime_type}]"


def _file(block: Any) -> tuple[str, bytes] | None:
    if block.type in ("image", "audio"):
        return _decoded(block.type, block.data)
    if block.type == "resource" and getattr(block.resource, "blob", None) is not None:
        return _decoded(str(block.resource.uri).rsplit("/", 1)[-1], block.resource.blob)
    return None


def _decoded(name: str, data: str | Iterable[int]) -> tuple[str, bytes] | None:
    try:
        return name, base64.b64decode(str(data), validate=True)
    except (ValueError, binascii.Error):
        return None
