"""How many tasks are sent to a worker at once."""

from __future__ import annotations

_MOST_AHEAD = 10


class Pace:
    """Sends short tasks together, as many as take a given time by the longest of the latest ones.

    Args:
        seconds: What a chunk may take.
        most: How many tasks it has at most.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._target = seconds
        self._most = most
        self._seen = 0
        self.longest = 0.0

    def note(self, seconds: float) -> None:
        """Take in how long a task took."""
        self._seen += 1
        self.longest = max(seconds, 0.9 * self.longest)

    def size(self) -> int:
        """Return how many tasks the next chunk has."""
        if not self._seen:
            return 1
        return max(1, min(self._most, self._seen, int(self._target / max(self.longest, 1e-6))))

    def ahead(self) -> int:
        """Return how many chunks a worker had better have: when they are short, the next ones, too."""
        if not self._seen:
            return 1
        return max(1, min(_MOST_AHEAD, int(5 * self._target / max(self.longest * self.size(), 1e-6))))
