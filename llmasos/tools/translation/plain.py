"""Plain text: its paragraphs are passages."""

from __future__ import annotations

import re

from llmasos.tools.translation.document import Document, Passage

_PARAGRAPH = re.compile(r"[^\S\n]*\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")


def plain(source: str) -> Document:
    """Return the passages of a plain text: what stands between blank lines."""
    passages = []
    for found in _PARAGRAPH.finditer(source):
        text = found[0]
        start = found.start() + len(text) - len(text.lstrip())
        passages.append(Passage(start, start + len(text.strip()), text.strip()))
    return Document(source, passages)
