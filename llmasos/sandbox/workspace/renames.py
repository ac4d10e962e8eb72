"""Files that were renamed: a deletion and an addition that belong together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from llmasos.sandbox.workspace.changes import Change
from llmasos.sandbox.workspace.side import Side

_SIMILAR = 0.6
_MOST_PAIRS = 2_500
_MOST_BYTES = 256 << 20


def with_renames(changes: Sequence[Change], lower: str, upper: str) -> list[Change]:
    """Return the changes with each file that moved as one change, which names where it came from.

    Equal contents count first, then texts that share most of their lines; how much is read is bounded.
    """
    deleted = _sides(changes, "deleted", lower)
    added = _sides(changes, "added", upper)
    if not deleted or not added:
        return list(changes)
    sources = _equal(deleted, added)
    equal = set(sources.values())
    sources |= _alike(
        {path: side for path, side in deleted.items() if path not in equal},
        {path: side for path, side in added.items() if path not in sources},
    )
    moved = set(sources.values())
    return [
        replace(change, kind="renamed", source=sources[change.path]) if change.path in sources else change
        for change in changes
        if change.path not in moved
    ]


def _sides(changes: Sequence[Change], kind: str, root: str) -> dict[str, Side]:
    sides = {}
    for change in changes:
        if change.kind == kind and not change.blocked:
            try:
                side = Side(root, change.path)
            except FileNotFoundError:
                continue
            if side.kind == "symbolic link" or (side.kind == "file" and side.size):
                sides[change.path] = side
    return sides


def _equal(deleted: dict[str, Side], added: dict[str, Side]) -> dict[str, str]:
    """Return where added paths came from whose content was deleted elsewhere."""
    sizes: dict[tuple[str, int], list[str]] = {}
    for path, side in deleted.items():
        sizes.setdefault((side.kind, side.size), []).append(path)
    read = 0
    contents: dict[tuple[str, int], dict[str, list[str]]] = {}
    sources: dict[str, str] = {}
    for path, side in added.items():
        key = (side.kind, side.size)
        if key not in sizes:
            continue
        if key not in contents:
            read += side.size * len(sizes[key])
            if read > _MOST_BYTES:
                return sources
            contents[key] = {}
            for old in sizes[key]:
                contents[key].setdefault(_content(deleted[old]), []).append(old)
        read += side.size
        candidates = contents[key].get(_content(side), [])
        if candidates:
            # Among equals the one with the same name.
            name = os.path.basename(path)
            chosen = next((old for old in candidates if os.path.basename(old) == name), candidates[0])
            candidates.remove(chosen)
            sources[path] = chosen
    return sources


def _alike(deleted: dict[str, Side], added: dict[str, Side]) -> dict[str, str]:
    if len(deleted) * len(added) > _MOST_PAIRS:
        return {}
    old_lines = {path: _lines(side) for path, side in deleted.items()}
    new_lines = {path: _lines(side) for path, side in added.items()}
    scores = sorted(
        (
            (-score, new, old)
            for new, theirs in new_lines.items()
            for old, ours in old_lines.items()
            if (score := _likeness(ours, theirs)) >= _SIMILAR
        ),
    )
    sources: dict[str, str] = {}
    for _, new, old in scores:
        if new not in sources and old not in sources.values():
            sources[new] = old
    return sources


def _content(side: Side) -> str:
    return side.digest() if side.kind == "file" else side.text() or ""


def _lines(side: Side) -> Counter[str]:
    text = side.text() if side.kind == "file" else None
    return Counter(text.split("\n")) if text else Counter()


def _likeness(one: Counter[str], two: Counter[str]) -> float:
    """Return the share of characters that two texts have in equal lines."""
    sizes = [sum((len(line) + 1) * count for line, count in lines.items()) for lines in (one, two)]
    if not min(sizes) or min(sizes) < _SIMILAR * max(sizes):
        return 0.0
    shared = sum((len(line) + 1) * min(count, two[line]) for line, count in one.items())
    return shared / max(sizes)
