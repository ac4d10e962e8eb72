"""A tool's value as the text that a model reads."""

from __future__ import annotations

import json

from llmasos.agent.values import well_formed

_LONGEST_RESULT = 20_000


def render(value: object) -> str:
    """Return a tool's value as text: rows as lines, the rest as JSON."""
    if value is None:
        return "Done."
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not value:
        return "(nothing found)"
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return "\n".join("  ".join(str(cell) for cell in row.values()) for row in value)
    return json.dumps(value, ensure_ascii=False, default=str)


def shorten(text: str, longest: int = _LONGEST_RESULT) -> str:
    """Return the text with its middle left out when it is longer than `longest` characters."""
    text = well_formed(text)
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
