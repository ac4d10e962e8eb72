"""Texts as they may be read instead, and where everything in them stood."""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Callable
from functools import cached_property

_FOREIGN = re.compile(r"\x1b\[[0-9;?]{0,32}[ -/]{0,8}[@-~]|[^\x00-\x7f]")
_APART = re.compile(r"[^A-Za-z0-9]+")
# What is escaped twice is read as what is escaped once.
_ESCAPE = re.compile(
    r"[%\\&](?:(?<=%)(?:25){0,4}+(?:u00)?([0-9a-f]{2})"
    r"|(?<=\\)\\{0,7}+(?:(?:x|u00|u\{0{0,4}|u0000)([0-9a-f]{2})\}?|([0-3]?[0-7]{2})|[nrt])"
    r"|(?<=&)(?:amp;){0,4}+(?:#x0{0,6}+([0-9a-f]{1,2})|#0{0,6}+([0-9]{1,3})|[a-z]{2,8}+);)",
    re.IGNORECASE,
)
_BASES = (16, 16, 8, 16, 10)
# Letters that are thirteen apart are one, so that what was shifted is found as it was.
_LETTERS = {
    code: (chr(97 + (ord(char.lower()) - 97) % 13) if char.isalpha() else char) if char.isalnum() else None
    for code, char in enumerate(map(chr, range(128)))
}


class Rewritten:
    """A text in which a pattern was replaced.

    Args:
        source: The text as it was, or a rewritten one.
        pattern: What is replaced.
        replace: Gives what stands there instead.
        text: The text that comes of it, where there is a faster way to it.
    """

    def __init__(
        self,
        source: Rewritten | str,
        pattern: re.Pattern[str],
        replace: Callable[[re.Match[str]], str],
        text: str | None = None,
    ) -> None:
        self._before = source if isinstance(source, Rewritten) else None
        self._source = source if isinstance(source, str) else source.text
        self._pattern, self._replace = pattern, replace
        self.text: str = pattern.sub(replace, self._source) if text is None else text

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where a piece of the text began and ended at first, with all of what it was written by."""
        first, last = self.before(start, end)
        return self._before.place(first, last) if self._before else (first, last)

    def before(self, start: int, end: int) -> tuple[int, int]:
        """Return where a piece of the text began and ended before this rewriting."""
        return self._one(start)[0], self._one(end - 1)[1]

    def _one(self, at: int) -> tuple[int, int]:
        """Return where one character came from."""
        starts, ends, before, after = self._segments
        place = bisect.bisect_right(starts, at) - 1
        if place < 0:
            return at, at + 1
        if at < ends[place]:
            return before[place], after[place]
        came = after[place] + at - ends[place]
        return came, came + 1

    @cached_property
    def _segments(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return where what was replaced begins and ends, as it is and as it was."""
        starts, ends, before, after, moved = [], [], [], [], 0
        for match in self._pattern.finditer(self._source):
            length = len(self._replace(match))
            starts.append(match.start() + moved)
            ends.append(starts[-1] + length)
            before.append(match.start())
            after.append(match.end())
            moved += length - (match.end() - match.start())
        return starts, ends, before, after


# Letters of other scripts that show nothing.
_BLANKS = "\u115f\u1160\u3164\uffa0\u2800"


class _Seen(dict[str, str]):
    """What each character looks like, worked out when it is first met."""

    def __missing__(self, char: str) -> str:
        if char[0] == "\x1b" or unicodedata.category(char) in ("Cf", "Mn", "Me") or char in _BLANKS:
            seen = ""
        else:
            same = unicodedata.normalize("NFKC", char)
            seen = same if same.isascii() else char
        self[char] = seen
        return seen


def visible(text: str) -> Rewritten | str:
    """Return a text without what nobody sees, in plain letters where they are another form of them."""
    if text.isascii() and "\x1b" not in text:
        return text
    seen = _Seen()
    return Rewritten(text, _FOREIGN, lambda match: seen[match[0]])


def unescaped(source: Rewritten | str) -> Rewritten | None:
    """Return a text with the ASCII characters that its escapes stand for, if it has some."""
    text = source if isinstance(source, str) else source.text
    return Rewritten(source, _ESCAPE, _meant) if _ESCAPE.search(text) else None


def core(source: Rewritten | str) -> Rewritten:
    """Return the letters and digits of a text, without anything between them."""
    text = source if isinstance(source, str) else source.text
    return Rewritten(source, _APART, lambda match: "", letters(text))


def letters(text: str) -> str:
    """Return the letters and digits of a text, those of ASCII alone, the same for both cases and shifts."""
    ascii = text if text.isascii() else text.encode("ascii", "ignore").decode()
    return ascii.translate(_LETTERS)


def _meant(match: re.Match[str]) -> str:
    """Return the character that an escape stands for, or nothing in place of breaks and signs."""
    if not match.lastindex:
        return ""
    code = int(match[match.lastindex], _BASES[match.lastindex - 1])
    return chr(code) if code < 128 else ""
