"""Diffs in lines, each with what it is: colours alone tell nobody who does not see them."""

from __future__ import annotations

from typing import Literal, NamedTuple

MOST_LINES = 5000
"""Of a longer diff the rest is counted only."""

Part = Literal["file", "hunk", "added", "removed", "same", "more"]


class DiffLine(NamedTuple):
    """One line of a unified diff, with its sign."""

    part: Part
    text: str


def diff_lines(diff: str) -> list[DiffLine]:
    """Return the lines of a unified diff; of a very long one the first, and how many more there are."""
    lines = diff.removesuffix("\n").split("\n") if diff else []
    found, body = [], False
    for line in lines[:MOST_LINES]:
        body = body or line.startswith("@@")
        found.append(DiffLine(_part(line, body), line))
    if len(lines) > MOST_LINES:
        found.append(DiffLine("more", f"{len(lines) - MOST_LINES:,}"))
    return found


def _part(line: str, body: bool) -> Part:
    if line.startswith("@@"):
        return "hunk"
    if not body:
        return "file"
    if line.startswith("+"):
        return "added"
    return "removed" if line.startswith("-") else "same"
