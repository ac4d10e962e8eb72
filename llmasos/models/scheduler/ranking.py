"""Names in the order of numbers that only grow."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable


class Ranking:
    """Names in the order of their numbers, the smallest first.

    A number that grew since its name was added is noticed when the name comes first, so that growing costs
    nothing. Among equal numbers the smaller tie goes first.
    """

    __slots__ = ("_entries", "_entry")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, str]] = []
        self._entry: dict[str, tuple[float, int, str]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def copy(self) -> Ranking:
        """Return one that changes by itself."""
        other = Ranking()
        other._entries = self._entries.copy()
        other._entry = self._entry.copy()
        return other

    def add(self, name: str, number: float, tie: int = 0) -> None:
        """Enter a name that is not there, or move it."""
        self.remove(name)
        entry = self._entry[name] = (number, tie, name)
        insort(self._entries, entry)

    def remove(self, name: str) -> None:
        """Strike a name off, if it is there."""
        entry = self._entry.pop(name, None)
        if entry is not None:
            del self._entries[bisect_left(self._entries, entry)]

    def below(self, number: float) -> int:
        """Return how many names had a smaller number when that was looked at last."""
        return bisect_left(self._entries, (number,))

    def first(self, number: Callable[[str], float]) -> str | None:
        """Return the name with the smallest number.

        Args:
            number: Gives a name's number as it is now.
        """
        while self._entries:
            known, tie, name = self._entries[0]
            now = number(name)
            if now <= known:
                return name
            self.add(name, now, tie)
        return None
