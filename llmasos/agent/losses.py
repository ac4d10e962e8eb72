"""Losses: files that a call leaves empty, or rewrites although nothing but reading was wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from llmasos.agent.deed import Deed, unique

Look = Callable[[str], Awaitable[bytes | None]]
"""Returns what a file holds now: nothing where there is none, None where nobody can say."""
Before = Mapping[str, str | None]
"""What files hold before a call, by their paths: nothing where there is none, None where nobody can say."""


def at_risk(deed: Deed, *, reading: bool) -> tuple[str, ...]:
    """Return the files at which somebody has to look to tell what a call does to them.

    Args:
        deed: What it does.
        reading: Whether nothing but reading is wanted.
    """
    placed = [deed.place] if deed.passages else []
    return unique((*placed, *deed.empties, *(deed.changed if reading else ())))


def lost(deed: Deed, before: Before, *, reading: bool) -> Collection[str]:
    """Return the files whose content is lost by a call.

    Args:
        deed: What it does.
        before: What the files hold.
        reading: Whether nothing but reading is wanted; then a file is to be left as it is by code, and in
            part at least by who writes it as a whole.
    """
    known = ((path, before.get(path)) for path in at_risk(deed, reading=reading))
    found = {path: text for path, text in known if text is None or text.strip()}
    gone = {path for path in found if path in deed.empties or (reading and path in deed.changed)}
    if deed.place in found and (text := _after(deed, found[deed.place])) is not None:
        kept = _lines(text) & _lines(found[deed.place] or "")
        if not text.strip() or (reading and not kept):
            gone.add(deed.place)
    return gone


def _after(deed: Deed, before: str | None) -> str | None:
    """Return what a file holds after its passage was replaced, or all of it; None where nobody can say."""
    *old, new = deed.passages
    if not old:
        return new
    return None if before is None else before.replace(old[-1], new) if old[-1] else before + new


def _lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip()}
