"""Redacting a text that comes in pieces, with no more held back than might be the start of a secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from llmasos.secrets.disguised import begun
from llmasos.secrets.needles import Needles
from llmasos.secrets.shapes import Found
from llmasos.secrets.wraps import Beginnings, unwrapped

_LONGEST = 32_768
_LONGEST_WORD = 4096
_SEEN = 256
_SPACES = " \t\r\n\f\v"
# What a secret may follow at some distance: its name, or the scheme it is sent by.
_OPENING = re.compile(
    r"pass(?:word|wd|phrase)?|pwd|secret|token|credential|auth|bearer|basic|key|seed|wallet|aws|pk\b",
    re.IGNORECASE,
)
# `.netrc` may have a line for each word.
_LOGIN = re.compile(r"\blogin\s", re.IGNORECASE)
_DISTANCE = 128
# A known secret may be wrapped, and its lines be indented.
_STRETCH = 3
# Its characters may be written with others for each.
_APART, _LONGEST_APART = 3, 8192
_WORD_REST, _KEY_REST = re.compile(r"\A\S++"), re.compile(r"\A(?:\\[nr]|[A-Za-z0-9+/=\s])++")
_PEM, _PEM_HEAD = "-----BEGIN", 96


class Finder(Protocol):
    """What finds and replaces the secrets of a whole text."""

    @property
    def beginnings(self) -> Beginnings:
        """How the texts begin by which known secrets are found."""

    @property
    def needles(self) -> Needles:
        """The known secrets as their letters are found."""

    def found(self, text: str) -> list[Found]:
        """Return the secrets in a text, in order, without overlaps."""

    def replace(self, text: str, found: Sequence[Found]) -> str:
        """Return a text with markers in place of what was found in it."""


class Redaction:
    """A text on its way, as the pieces that may be shown so far.

    Args:
        finder: Finds and replaces the secrets.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._seen = ""
        self._held = ""
        self._dropped: re.Pattern[str] | None = None

    def feed(self, piece: str) -> str:
        """Take the next piece, and return what may be shown now."""
        if self._dropped is not None:
            piece = self._dropped.sub("", piece)
            self._dropped = None if piece else self._dropped
        self._held += piece
        return self._emit(last=False) if self._held else ""

    def close(self) -> str:
        """Return what was held back; nothing comes any more."""
        return self._emit(last=True) if self._held else ""

    def _emit(self, *, last: bool) -> str:
        text, start = self._seen + self._held, len(self._seen)
        found = [one for one in self._finder.found(text) if one.end > start]
        cut = len(text) if last else max(start, self._cut(text))
        for one in found:
            if one.start < cut < one.end:
                cut = max(start, one.start) if len(text) - one.start <= _LONGEST else one.end
            if cut == one.end == len(text) and not last:
                # So long a secret is not waited for: its rest is dropped as it comes.
                self._dropped = _KEY_REST if one.kind == "private-key" else _WORD_REST
        ready = [
            replace(one, start=max(one.start, start) - start, end=one.end - start)
            for one in found
            if one.end <= cut
        ]
        shown = self._finder.replace(text[start:cut], ready)
        self._seen, self._held = text[max(0, cut - _SEEN) : cut], text[cut:]
        return shown

    def _cut(self, text: str) -> int:
        """Return from where on a secret might have begun that is not whole yet."""
        word = max(text.rfind(space) for space in _SPACES) + 1
        if len(text) - word > _LONGEST_WORD:
            word = len(text) - _LONGEST_WORD // 2
        near = max(0, word - _DISTANCE)
        opening = _LOGIN.search(text, near, word) or _OPENING.search(
            text, max(near, text.rfind("\n", 0, word) + 1), word
        )
        cuts = [word, opening.start() if opening else word, self._known(text)]
        key = text.rfind(_PEM)
        if key >= 0 and len(text) - key <= _LONGEST:
            head = text[key : key + _PEM_HEAD]
            ended = text.find("-----", text.find("-----END", key) + 8) if "-----END" in text[key:] else -1
            if ended < 0 and ("PRIVATE KEY" in head or len(head) < _PEM_HEAD):
                cuts.append(key)
        return min(cuts)

    def _known(self, text: str) -> int:
        known = self._finder.beginnings
        start = max(0, len(text) - _STRETCH * known.longest)
        cut = start + min(flat.begun(known) for flat in unwrapped(text[start:]))
        needles = self._finder.needles
        start = max(0, len(text) - min(_LONGEST_APART, _APART * needles.longest))
        return min(cut, start + begun(text[start:], needles)) if needles.longest else cut
