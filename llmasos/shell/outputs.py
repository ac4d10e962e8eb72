"""What one action prints, while it does: its first lines, and at the end its last ones."""

from __future__ import annotations

import re

from llmasos.display import Stream

_FIRST, _LAST, _SEEN = 10, 5, 3
_MOST_LINES = 100_000
# What the sandbox writes in the place of output beyond its limit.
_MARK = re.compile(r"\[[\d,]+ bytes of output left out\]")


class OutputLines:
    """The lines of one action's output.

    Lines beyond the most that are kept are counted, and those in the middle forgotten.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.lost = False
        """Whether the lines left out are more than were counted, as the sandbox has left out some."""
        self.forgotten = 0
        self._stream = Stream()
        self._open = ""
        self._shown = 0

    def feed(self, text: str) -> list[str]:
        """Take a piece, and return the lines that are shown at once."""
        return self._take(self._stream.show(text))

    def end(self) -> tuple[int, list[str]]:
        """Return how many lines are left out, and the lines after them."""
        shown = self._take(self._stream.end())
        if self._open:
            shown += self._take("\n")
        left = len(self.lines) - self._shown - _LAST
        if left <= 1:
            return 0, [*shown, *self.lines[self._shown :]]
        marks = sum(map(_is_mark, self.lines[self._shown : -_LAST]))
        self.lost = marks > 0
        return left + self.forgotten - marks, self.lines[-_LAST:]

    def live(self) -> list[str]:
        """Return the newest lines that are not shown yet."""
        held = [*self.lines[self._shown :][-_SEEN:], *([self._open] if self._open else [])]
        return held[-_SEEN:]

    def _take(self, text: str) -> list[str]:
        *whole, self._open = (self._open + text).split("\n")
        shown = whole[: max(0, _FIRST - self._shown)]
        self._shown += len(shown)
        self.lines += whole
        if (over := len(self.lines) - _MOST_LINES) > 0:
            middle = _MOST_LINES // 2
            del self.lines[middle : middle + over]
            self.forgotten += over
        return shown


def _is_mark(line: str) -> bool:
    return _MARK.fullmatch(line) is not None
