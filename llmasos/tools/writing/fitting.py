"""Making a draft fit: what is said twice or cut off goes, and its length comes near what was asked."""

from __future__ import annotations

import re

from llmasos.tools.writing.checklist import NEAR, count_words
from llmasos.tools.writing.sentences import is_prose, joined, paragraphs, same_as

# "The 5 words" are what a text is about, and 64 字节 are bytes.
_COUNT = re.compile(
    r"(?<![\d.,])(?<!\bthe )(\d{1,3}[,. ]\d{3}|\d{2,5})[ -]?"
    r"(?:words?\b|个?字(?![节母段体号符典])|个?词|mots\b|Wörter\w?\b|palabras\b|parole\b|palavras\b|слов)",
    re.IGNORECASE,
)
_FEWEST = 20
_ENDED = re.compile(r"[.!?。！？…:：;；,，”\"’」』）)\]*_`|>~—-]\Z")
# How letters begin and end, and names that are to be filled in.
_FRAME = re.compile(
    r"(?:dear|hello|hi|亲爱|尊敬|各位)[^\n]*|[^\n]*(?:[,，]|\[[^\[\]\n]+\])\s*\Z", re.IGNORECASE
)
_CLOSING = 8
"""Words of a paragraph at the end of a letter, such as a greeting or a name."""


def asked_words(task: str) -> int:
    """Return how many words a task asks for, in its own text; 0 where it says nothing."""
    found = _COUNT.search(task)
    count = int(re.sub(r"\D", "", found[1])) if found else 0
    return min(10_000, count) if count >= _FEWEST else 0


def tidied(text: str) -> str:
    """Return a text without sentences and greetings that come again, and the last one where it was cut off.

    Lines of poems and tables may come again; what holds code is left as it is.
    """
    if "```" in text:
        return text
    seen: set[str] = set()
    parts = []
    for paragraph in paragraphs(text):
        if not is_prose(paragraph):
            parts.append(paragraph)
            continue
        sentences = []
        frame = _is_frame(paragraph)
        for sentence in paragraph:
            if (said := sentence.casefold().strip() if frame else same_as(sentence)) not in seen:
                sentences.append(sentence)
            seen |= {said} - {""}
        if sentences and sentences[0] is not paragraph[0]:
            sentences[0] = sentences[0].lstrip()
        parts.append(sentences)
    if parts and len(parts[-1]) > 1 and not _ENDED.search(parts[-1][-1].rstrip()):
        parts[-1].pop()
    return joined(parts)


def _is_frame(paragraph: list[str]) -> bool:
    line = "".join(paragraph)
    return _FRAME.match(line) is not None and count_words(line) <= _CLOSING


def shortened(text: str, words: int) -> str:
    """Return a text without the last sentences of its body, as far as it is too long; its closing stays."""
    parts = paragraphs(text)
    body = len(parts) - _closing(parts)
    while body and count_words(joined(parts)) > words * (1 + NEAR):
        # One sentence stays, whatever it is.
        if body == 1 and len(parts[0]) == 1:
            break
        parts[body - 1].pop()
        if not parts[body - 1]:
            del parts[body - 1]
            body -= 1
    return joined(parts)


def extended(text: str, more: str) -> str:
    """Return a text with more in it, as a paragraph before its closing."""
    parts = paragraphs(text)
    body = len(parts) - _closing(parts)
    return joined([*parts[:body], *paragraphs(more), *parts[body:]])


def _closing(parts: list[list[str]]) -> int:
    """Return how many paragraphs close the text: short ones, of which all others are not."""
    count = 0
    for paragraph in reversed(parts[1:]):
        text = "".join(paragraph).strip()
        if count_words(text) > _CLOSING or text.endswith((".", "。")):
            break
        count += 1
    return count
