"""Making a draft fit: what is said twice or cut off goes, and its length comes near what was asked."""

from __future__ import annotations

import re

from llmasos.tools.writing.checklist import NEAR, count_words

# "The 5 words" are what a text is about, and 64 字节 are bytes.
_COUNT = re.compile(
    r"(?<![\d.,])(?<!\bthe )(\d{1,3}[,. ]\d{3}|\d{2,5})[ -]?"
    r"(?:words?\b|个?字(?![节母段体号符典])|个?词|mots\b|Wörter\w?\b|palabras\b|parole\b|palavras\b|слов)",
    re.IGNORECASE,
)
_FEWEST = 20
# A sentence keeps the space before it: lines of a poem stay lines.
_SENTENCE = re.compile(
    r"(?<=[。！？…])(?=[^。！？…”’」』）])|(?<=[^\W_]{3}[.!?])(?=\s)|(?<=[.!?][”\"’)])(?=\s)"
)
_ENDED = re.compile(r"[.!?。！？…:：;；,，”\"’」』）)\]*_`|>~—-]\Z")
_CLOSING = 8
"""Words of a paragraph at the end of a letter, such as a greeting or a name."""
_SAME = 24
"""Bytes (UTF-8) of a sentence that must not come twice."""


def asked_words(task: str) -> int:
    """Return how many words a task asks for, in its own text; 0 where it says nothing."""
    found = _COUNT.search(task)
    count = int(re.sub(r"\D", "", found[1])) if found else 0
    return min(10_000, count) if count >= _FEWEST else 0


def tidied(text: str) -> str:
    """Return a text without sentences of its prose that come again, and the last one where it was cut off.

    Lines of poems and tables may come again; what holds code is left as it is.
    """
    if "```" in text:
        return text
    seen: set[str] = set()
    paragraphs = []
    for paragraph in _paragraphs(text):
        if any("\n" in sentence for sentence in paragraph):
            paragraphs.append(paragraph)
            continue
        sentences = []
        for sentence in paragraph:
            key = " ".join(sentence.casefold().split())
            if len(key.encode()) < _SAME or key not in seen:
                sentences.append(sentence)
            seen.add(key)
        if sentences and sentences[0] is not paragraph[0]:
            sentences[0] = sentences[0].lstrip()
        paragraphs.append(sentences)
    if paragraphs and len(paragraphs[-1]) > 1 and not _ENDED.search(paragraphs[-1][-1].rstrip()):
        paragraphs[-1].pop()
    return _joined(paragraphs)


def shortened(text: str, words: int) -> str:
    """Return a text without the last sentences of its body, as far as it is too long; its closing stays."""
    paragraphs = _paragraphs(text)
    body = len(paragraphs) - _closing(paragraphs)
    while body and count_words(_joined(paragraphs)) > words * (1 + NEAR):
        # One sentence stays, whatever it is.
        if body == 1 and len(paragraphs[0]) == 1:
            break
        paragraphs[body - 1].pop()
        if not paragraphs[body - 1]:
            del paragraphs[body - 1]
            body -= 1
    return _joined(paragraphs)


def extended(text: str, more: str) -> str:
    """Return a text with more in it, as a paragraph before its closing."""
    paragraphs = _paragraphs(text)
    body = len(paragraphs) - _closing(paragraphs)
    return _joined([*paragraphs[:body], *_paragraphs(more), *paragraphs[body:]])


def _paragraphs(text: str) -> list[list[str]]:
    """Return the sentences of each paragraph."""
    return [_SENTENCE.split(part.strip("\n")) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def _joined(paragraphs: list[list[str]]) -> str:
    return "\n\n".join(filter(None, ("".join(sentences).rstrip() for sentences in paragraphs)))


def _closing(paragraphs: list[list[str]]) -> int:
    """Return how many paragraphs close the text: short ones, of which all others are not."""
    count = 0
    for paragraph in reversed(paragraphs[1:]):
        text = "".join(paragraph).strip()
        if count_words(text) > _CLOSING or text.endswith((".", "。")):
            break
        count += 1
    return count
