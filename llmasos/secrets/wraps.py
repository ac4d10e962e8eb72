"""Texts with their spaces and line breaks taken out, in which values are found that were wrapped."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

# Backslashes are no more than spaces: they escape what stands in a value or a line's end, and continue lines.
_GAP = re.compile(r"(?:\\[nrt]|[\s\\])++")
# What lines of quotes and comments begin with.
_QUOTED = re.compile(r"[ \t\r\\]*+\n[\s>|#*]*+|(?:\\[nrt]|[^\S\n]|\\)++")
_INDEXED = 4
_LINE_END = re.compile(r"[\r\n]")
_QUOTE = re.compile(r"\n[ \t]*+[>|#*]")


class Beginnings:
    """How values begin, for finding those that a text breaks off in.

    Args:
        values: The values.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._values: dict[str, list[str]] = {}
        self._short = set()
        self.longest = 0
        for value in values:
            self._values.setdefault(value[:_INDEXED], []).append(value)
            self._short |= {value[:length] for length in range(1, _INDEXED)}
            self.longest = max(self.longest, len(value))

    def may_begin(self, text: str, at: int) -> bool:
        """Tell whether a text, from a place to its end, is the beginning of a value."""
        start = text[at : at + _INDEXED]
        if len(start) < _INDEXED:
            return start in self._short
        return any(
            len(value) > len(text) - at and value.startswith(text[at:])
            for value in self._values.get(start, ())
        )


class Unwrapped:
    """A text without its gaps, and where each character of it was."""

    def __init__(self, text: str, gap: re.Pattern[str] = _GAP) -> None:
        self._source = text
        self._gap = gap
        self.text = gap.sub("", text)

    def find(self, value: str) -> Iterator[tuple[int, int]]:
        """Yield where a value begins and ends in the text as it was."""
        at = self.text.find(value)
        while at >= 0:
            yield self.place(at), self.place(at + len(value) - 1) + 1
            at = self.text.find(value, at + len(value))

    def begun(self, values: Beginnings) -> int:
        """Return from where on the text may be the beginning of a value; its length when it is none.

        A line that ends with the first few characters of one is no beginning: it tells nothing of the value,
        and every other line ends so when values are many.
        """
        text = self.text
        after = self.place(len(text) - 1) + 1 if text else 0
        fewest = _INDEXED if _LINE_END.search(self._source, after) else 1
        for at in range(max(0, len(text) - values.longest + 1), len(text) - fewest + 1):
            if values.may_begin(text, at):
                return self.place(at)
        return len(self._source)

    def place(self, at: int) -> int:
        """Return where a character was."""
        starts, lengths = self._pieces
        piece = bisect.bisect_right(lengths, at) - 1
        return starts[piece] + at - lengths[piece]

    @cached_property
    def _pieces(self) -> tuple[list[int], list[int]]:
        starts, lengths, length, start = [0], [0], 0, 0
        for match in self._gap.finditer(self._source):
            length += match.start() - start
            start = match.end()
            starts.append(start)
            lengths.append(length)
        return starts, lengths


def unwrapped(text: str) -> list[Unwrapped]:
    """Return a text without its gaps, and once more without what quoted lines begin with."""
    quoted = [Unwrapped(text, _QUOTED)] if "\n" in text and _QUOTE.search(text) else []
    return [Unwrapped(text), *quoted]


def unspaced(value: str) -> str:
    """Return a value as it is found in an unwrapped text."""
    return _GAP.sub("", value)
