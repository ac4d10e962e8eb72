"""Markdown: headings, paragraphs, items and cells are passages; code, links and tags are kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from llmasos.tools.translation.document import Document, Passage
from llmasos.tools.translation.marks import Kept, kept
from llmasos.tools.translation.markup import html_passages

_CODE = r"(?<!`)(?P<ticks>`+)(?!`)(?s:.{1,2000}?)(?<!`)(?P=ticks)(?!`)"
_TARGET = r"\((?:[^()\\\n]|\\.|\([^()\n]*\)){0,2000}\)|\[[^\[\]\n]{0,200}\]"
_AFTER_TEXT = rf"(?<=\])(?:{_TARGET})"
_NOTE = r"\[\^[^\[\]\s]{1,100}\]"
_TAG = r"<!--.{0,2000}?-->|</?[A-Za-z][^<>\n]{0,1000}>|<[a-z]+:[^<>\s]{1,1000}>|&\#?\w{1,30};"
_MATH = r"\$\$[^$]{1,1000}\$\$|(?<![\w$\\])\$(?![\s\d])[^$\n]{1,300}(?<![\s\\])\$(?![\w$])"
_ESCAPE = r"\\[!-/:-@\[-`{-~]"
_EMPHASIS = r"\*{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)|~~|!?\["
_INLINE = (_CODE, _NOTE, _TAG, _MATH, _ESCAPE)
_FRONT_MATTER = re.compile(r"\A---[^\S\n]*\n.*?^(?:---|\.\.\.)[^\S\n]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_HARD_BREAK = re.compile(r"(?: {2,}|\\)\Z")
_DEFINITION = re.compile(r":[^\S\n]+")
_BLANK = re.compile(r"[^\n]")
_PIPE = re.compile(r"(?<!\\)\|")


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _counted(text: str) -> Counter[str]:
    """Count what a piece of Markdown is made of, beside text: blocks, links, emphasis."""
    found: Counter[str] = Counter()
    for token in _parser().parse(text):
        for part in (token, *(token.children or ())):
            if part.type not in ("inline", "text", "softbreak") and not part.type.endswith("_close"):
                found[part.type] += 1
    return found


_KEPT = Kept(kept(*_INLINE, _AFTER_TEXT), kept(*_INLINE, rf"\](?:{_TARGET})?", _EMPHASIS), _counted)


def markdown(source: str) -> Document:
    """Return the passages of a Markdown document."""
    front = _FRONT_MATTER.match(source)
    # Lines keep their numbers.
    shown = _BLANK.sub(" ", source[: front.end()]) + source[front.end() :] if front else source
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    finder = _Finder(lines, starts)
    passages: list[Passage] = []
    before = ""
    for token in _parser().parse(shown):
        if token.type == "inline":
            passages += finder.passages(token, cell=before in ("th_open", "td_open"))
        elif token.type == "html_block" and token.map is not None:
            first, last = token.map
            passages += html_passages(source, starts[first], starts[min(last, len(lines))])
        before = token.type
    return Document(source, passages)


class _Finder:
    """Finds in the source what a token says: the parser leaves out what stands before its lines."""

    def __init__(self, lines: list[str], starts: list[int]) -> None:
        self._lines = lines
        self._starts = starts
        self._at = 0

    def passages(self, token: Token, *, cell: bool) -> Iterator[Passage]:
        """Yield a passage for what stands between hard breaks."""
        assert token.map is not None
        number, last = token.map
        found: list[tuple[int, str]] = []
        definitions: set[int] = set()
        for line in token.content.split("\n"):
            written = line.replace("|", "\\|") if cell else line
            place = None
            while place is None and number < last:
                place = self._place(number, written)
                # Cells of a table are on the same line.
                number += not cell
            if place is None:
                return
            self._at = place + len(written)
            if found and (mark := _DEFINITION.match(written)):
                # What defines a term stands on a line of its own below it.
                definitions.add(len(found))
                place, written = place + mark.end(), written[mark.end() :]
            found.append((place, written))
        while found:
            breaks = (
                number
                for number, (_, line) in enumerate(found)
                if _HARD_BREAK.search(line) or number + 1 in definitions
            )
            count = next(breaks, len(found) - 1) + 1
            yield _passage(found[:count], cell=cell)
            found = found[count:]
            definitions = {number - count for number in definitions}

    def _place(self, number: int, text: str) -> int | None:
        """Return where a line begins to say something, from where the last one ended."""
        start = max(self._starts[number], self._at)
        at = self._lines[number].find(text, start - self._starts[number])
        return None if at < 0 else self._starts[number] + at


def _passage(found: list[tuple[int, str]], *, cell: bool) -> Passage:
    """Return the lines of a paragraph as one passage, without the breaks that mean nothing."""
    place, line = found[-1]
    last = _HARD_BREAK.sub("", line)
    texts = [*(text for _, text in found[:-1]), last]
    text = texts[0]
    for following in texts[1:]:
        text += following if _wide(text[-1:]) and _wide(following[:1]) else f" {following}"
    write = _cell if cell else str
    return Passage(found[0][0], place + len(last), text, _KEPT, write, one_line=True)


def _cell(text: str) -> str:
    return _PIPE.sub(r"\|", text)


def _wide(letter: str) -> bool:
    """Return whether a letter is of a script that writes no spaces."""
    return "\u2e80" <= letter <= "\u9fff" or "\uf900" <= letter <= "\uffef"
