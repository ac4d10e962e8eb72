"""Amounts and lists of names as a person reads them in a line."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.display import display

NAMED = 5
"""How many names of a list are shown."""

_SHORTEST_PART = 3
_SIZES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def size(count: int) -> str:
    """Return a number of bytes in its largest unit."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """Return the names that a person may have meant, the most likely one first.

    Args:
        name: What they wrote.
        known: The names that there are.
    """
    from difflib import get_close_matches

    lower = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), lower, n=3, cutoff=0.6)
    within = [one for one in lower if len(name) >= _SHORTEST_PART and name.lower() in one]
    return [lower[one] for one in dict.fromkeys([*close, *sorted(within, key=len)])][:3]


def some(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    shown = ", ".join(map(display, names[:NAMED]))
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
