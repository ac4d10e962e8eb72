"""Texts with their spaces and line breaks taken out, in which values are found that were wrapped."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from functools import cached_property

# What may lie between the parts of a value: spaces, and what lines of quotes and comments begin with.
_FILLING = r"\s>|#*"
_GAP = re.compile(rf"\\?\r?\n[{_FILLING}]*+|\s++")
_END = re.compile(rf"[{_FILLING}\\]++\Z")
_LONGEST_END = 200


class Unwrapped:
    """A text without its gaps, and where each character of it was."""

    def __init__(self, text: str) -> None:
        self._source = text
        self.text = _GAP.sub("", text)

    def find(self, value: str) -> Iterator[tuple[int, int]]:
        """Yield where a value begins and ends in the text as it was."""
        at = self.text.find(value)
        while at >= 0:
            yield self.before(at), self.before(at + len(value) - 1) + 1
            at = self.text.find(value, at + len(value))

    def before(self, at: int) -> int:
        """Return where a character was."""
        starts, lengths = self._pieces
        piece = bisect.bisect_right(lengths, at) - 1
        return starts[piece] + at - lengths[piece]

    @cached_property
    def _pieces(self) -> tuple[list[int], list[int]]:
        starts, lengths, length, start = [0], [0], 0, 0
        for match in _GAP.finditer(self._source):
            length += match.start() - start
            start = match.end()
            starts.append(start)
            lengths.append(length)
        return starts, lengths


def unspaced(value: str) -> str:
    """Return a value as it is found in an unwrapped text."""
    return _GAP.sub("", value)


def begun(text: str, value: str) -> int:
    """Return how many characters at a text's end are the beginning of a value."""
    at = max(0, len(text) - len(value) + 1)
    while (at := text.find(value[0], at)) >= 0:
        if value.startswith(text[at:]):
            return len(text) - at
        at += 1
    return 0


def without_gap(text: str) -> str:
    """Return a text without what might be the beginning of a gap at its end."""
    end = _END.search(text, max(0, len(text) - _LONGEST_END))
    return text[: end.start()] if end else text
