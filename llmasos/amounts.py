"""Amounts and lists of names as a person reads them in a line."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.display import display

NAMED = 5
"""How many names of a list are shown."""

_SIZES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def size(count: int) -> str:
    """Return a number of bytes in its largest unit."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def some(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    shown = ", ".join(map(display, names[:NAMED]))
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
