"""Changes as a person names them: `src/main.py`, or `src/main.py:1,3-4` for some hunks of its diff."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmasos.api import Choice
from llmasos.errors import LLMasOSError

_HUNKS = re.compile(r"(?P<path>.+):(?P<hunks>\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)\Z", re.DOTALL)
_MOST_HUNKS = 10_000


def parse_choices(words: Sequence[str]) -> list[Choice] | None:
    """Return the changes that were named, or None for all when nothing was.

    Raises:
        LLMasOSError: A range of hunks runs backwards.
    """
    return [_choice(word) for word in words] or None


def _choice(word: str) -> Choice:
    found = _HUNKS.match(word)
    if found is None:
        return Choice(path=word)
    hunks: list[int] = []
    for part in found["hunks"].split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high < _MOST_HUNKS:
            raise LLMasOSError(
                f"{part} does not name hunks.", hint="Hunks count from 1, as in notes.txt:1,3-4."
            )
        hunks += range(low, high + 1)
    return Choice(path=found["path"], hunks=tuple(hunks))
