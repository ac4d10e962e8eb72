"""What is pasted and too long for a line: it becomes an attachment, and a mark in the line."""

from __future__ import annotations

import re

from llmasos.shell.screen.port import Line

_MOST_LINES = 20
_MOST_LETTERS = 3000
_LARGEST = 4_000_000
_MARK = re.compile(r"\[pasted text (\d+)(?:: [^\]]*)?\]")


class Pastes:
    """What was pasted, by the numbers of the marks."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def take(self, text: str) -> str:
        """Return what stands in the line for a pasted text: itself, or a mark."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.count("\n") + 1
        if lines <= _MOST_LINES and len(text) <= _MOST_LETTERS:
            return text
        number = len(self._texts) + 1
        self._texts[number] = text[:_LARGEST]
        cut = f", cut to {_LARGEST:,} characters" if len(text) > _LARGEST else ""
        return f"[pasted text {number}: {lines:,} line{'s' if lines > 1 else ''}{cut}]"

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
