"""The sentences of a draft, by its paragraphs, and which of them are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A sentence keeps the space before it: lines of a poem stay lines.
_SENTENCE = re.compile(
    r"(?<=[。！？…])(?=[^。！？…”’」』）])|(?<=[^\W_]{3}[.!?])(?=\s)|(?<=[.!?][”\"’)])(?=\s)"
)
_SAME = 24
"""Bytes (UTF-8) of a sentence that must not come twice."""


def paragraphs(text: str) -> list[list[str]]:
    """Return the sentences of each paragraph."""
    return [_SENTENCE.split(part.strip("\n")) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def joined(parts: Sequence[Sequence[str]]) -> str:
    """Return a text from the sentences of its paragraphs."""
    return "\n\n".join(filter(None, ("".join(sentences).rstrip() for sentences in parts)))


def is_prose(paragraph: Sequence[str]) -> bool:
    """Return whether nothing in it may come again, as lines of poems and tables may."""
    return not any("\n" in sentence for sentence in paragraph)


def same_as(sentence: str) -> str:
    """Return what is the same for sentences that say the same; empty for those that may come again."""
    plain = " ".join(sentence.casefold().split())
    return plain if len(plain.encode()) >= _SAME else ""
