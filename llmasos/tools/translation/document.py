"""A document as its source, in which only passages are replaced: all else stays byte for byte."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from llmasos.tools.translation.marks import PLACEHOLDERS, Kept


def _same(text: str) -> str:
    return text


@dataclass(frozen=True)
class Passage:
    """A piece of a document that is translated by itself.

    Args:
        start: Where it begins in the source, in characters.
        end: Where it ends.
        text: What it says, without what the format makes of it.
        kept: What in it must come through unchanged.
        write: Turns a translation into what stands in the source.
        one_line: A translation must not have line breaks.
    """

    start: int
    end: int
    text: str
    kept: Kept = PLACEHOLDERS
    write: Callable[[str], str] = field(default=_same, repr=False)
    one_line: bool = False


class Document:
    """The source of a document with the passages in it.

    Args:
        source: All of it.
        passages: In their order; none reaches into another.
        notes: What a person should know of how it was read.
    """

    def __init__(self, source: str, passages: Iterable[Passage], notes: Sequence[str] = ()) -> None:
        self._source = source
        self.passages = tuple(passages)
        self.notes = tuple(notes)
        self._lines = [0, *(at + 1 for at, letter in enumerate(source) if letter == "\n")]

    def line(self, passage: Passage) -> int:
        """Return the number of the line that a passage begins on, from 1."""
        return bisect.bisect_right(self._lines, passage.start)

    def joined(self, texts: Sequence[str]) -> str:
        """Return the source with a text in the place of each passage."""
        parts, at = list[str](), 0
        for passage, text in zip(self.passages, texts, strict=True):
            same = text == passage.text
            parts.append(self._source[at : passage.start])
            parts.append(self._source[passage.start : passage.end] if same else passage.write(text))
            at = passage.end
        return "".join([*parts, self._source[at:]])
