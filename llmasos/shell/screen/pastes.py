"""What is pasted and too long for a line: it becomes an attachment, and a mark in the line."""

from __future__ import annotations

import re

from llmasos.shell.screen.port import Line

_MOST_LINES = 20
_MOST_LETTERS = 3000
_LARGEST = 4_000_000
_MARK = re.compile(r"\[pasted text (\d+)(?:: [\d,]+ lines?(?:, cut to [\d,]+ characters)?)?\]")


class Pastes:
    """What was pasted, by the numbers of the marks."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def take(self, text: str) -> str:
        """Return what stands in the line for a pasted text: itself, or a mark."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.removesuffix("\n").count("\n") + 1
        if lines <= _MOST_LINES and len(text) <= _MOST_LETTERS:
            return text
        number = len(self._texts) + 1
        self._texts[number] = text[:_LARGEST]
        cut = f", cut to {_LARGEST:,} characters" if len(text) > _LARGEST else ""
        return f"[pasted text {number}: {lines:,} line{'s' if lines > 1 else ''}{cut}]"

    def gone(self, text: str) -> str:
        """Return a mark, as it was made by this or another shell, whose text is not kept; empty for none."""
        marks = (mark for mark in _MARK.finditer(text) if ": " in mark[0])
        return next((mark[0] for mark in marks if int(mark[1]) not in self._texts), "")

    def last_mark(self, text: str) -> str:
        """Return the mark that a text ends with; empty when there is none."""
        marks = [mark for mark in _MARK.finditer(text) if mark.end() == len(text)]
        return marks[-1][0] if marks and int(marks[-1][1]) in self._texts else ""

    def line(self, text: str) -> Line:
        """Return a line with the attachments that its marks name."""
        if not self._texts:
            return Line(text)
        from llmasos.api import Attachment

        numbers = dict.fromkeys(int(mark[1]) for mark in _MARK.finditer(text))
        found = [(number, self._texts[number]) for number in numbers if number in self._texts]
        return Line(
            text, tuple(Attachment(name=f"pasted text {number}", text=body) for number, body in found)
        )
