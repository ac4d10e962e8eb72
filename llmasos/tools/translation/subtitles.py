"""Subtitles, SubRip and WebVTT: what is said in each cue is a passage; numbers and times are kept."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial

from llmasos.tools.translation.document import Document, Passage
from llmasos.tools.translation.marks import Kept, kept

_TIME = re.compile(r"^[ \t]*(?:\d{1,4}:)?\d\d:\d\d[.,]\d{1,3}[ \t]*-->[^\n]*\n", re.MULTILINE)
_SAID = re.compile(r"[^\S\n]*\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")
_TAG = r"</?[A-Za-z][^<>\n]{0,200}>|<\d[\d:.]{5,20}>|\{\\[^{}\n]{1,100}\}|&\w{2,8};"
_SPEAKER = re.compile(r"\A\s*[-–—]\s*")


def _counted(text: str) -> Counter[str]:
    # An arrow would make a line a time.
    return Counter(re.findall("-->", text))


_KEPT = Kept(kept(_TAG), counted=_counted)


def subtitles(source: str) -> Document:
    """Return the passages of subtitles: one for each cue, or for each speaker of it."""
    passages: list[Passage] = []
    at = 0
    while found := _TIME.search(source, at):
        at = found.end()
        said = _SAID.match(source, at)
        if said is None or source.startswith("\n", at):
            continue
        at = said.end()
        lines = said[0].split("\n")
        several = len(lines) > 1 and all(_SPEAKER.match(line) for line in lines)
        start = said.start()
        for text in lines if several else [said[0]]:
            speaker = _SPEAKER.match(text)
            before = speaker.end() if several and speaker else 0
            if text[before:].strip():
                passages.append(_passage(start + before, text[before:]))
            start += len(text) + 1
    return Document(source, passages)


def _passage(start: int, said: str) -> Passage:
    body = said.strip()
    start += said.index(body)
    lines = [line.strip() for line in body.split("\n")]
    return Passage(
        start,
        start + len(body),
        " ".join(lines),
        _KEPT,
        partial(_wrapped, lines=len(lines)),
        one_line=True,
    )


def _wrapped(text: str, lines: int) -> str:
    """Return a text on as many lines as it had, each about as long."""
    if lines == 1:
        return text
    parts = text.split(" ")
    if len(parts) < lines:
        # Scripts without spaces break anywhere but in a tag, or before a mark of punctuation.
        parts = re.findall(rf"(?:{_TAG})*[^<{{&](?:{_TAG}|[，。！？、；：…」』）,.!?;:)])*", text) or [text]
        space = ""
    else:
        space = " "
    wrapped, whole = list[str](), len(text)
    line = ""
    for part in parts:
        due = whole * (len(wrapped) + 1) / lines
        told = sum(map(len, wrapped)) + len(line)
        if line and len(wrapped) < lines - 1 and told + len(part) / 2 > due:
            wrapped.append(line)
            line = part
        else:
            line = f"{line}{space}{part}" if line else part
    return "\n".join([*wrapped, line])
