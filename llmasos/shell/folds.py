"""Long output, of which a person sees the ends and can open the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmasos.display import display

_MOST = 200
_LONGEST = 4_000_000


@dataclass(frozen=True)
class Fold:
    """A text that was shown in part.

    Args:
        number: What it is opened by.
        title: What it is, in a line.
        text: All of it that is kept, as it may be shown.
        lost: How many characters at its end are not kept.
    """

    number: int
    title: str
    text: str
    lost: int = 0


class Folds:
    """The newest folded texts."""

    def __init__(self) -> None:
        self._folds: dict[int, Fold] = {}
        self._next = 1

    def add(self, title: str, lines: Sequence[str]) -> Fold:
        """Keep a text, and return it with its number."""
        text = "\n".join(lines)
        fold = Fold(self._next, display(title), text[:_LONGEST], max(0, len(text) - _LONGEST))
        self._folds[fold.number] = fold
        self._folds.pop(self._next - _MOST, None)
        self._next += 1
        return fold

    def get(self, number: int | None = None) -> Fold | None:
        """Return one by its number, or the newest; None when it is not kept."""
        return self._folds.get(self._next - 1 if number is None else number)
