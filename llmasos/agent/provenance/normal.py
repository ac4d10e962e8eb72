"""Normal forms of text, in which a copy is found again whatever its writing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

GRAM = 3

# Letters of other alphabets, and signs, that look like Latin ones; NFKD has made the others plain before.
_LOOKALIKES = dict(
    zip(
        "абвгдеёзийклмнорстухчьѕіјԁԍһԛԝӏөԏүғқңҳҷ"
        "αβγεζηικνορτυχωϲϳσ"
        "աեոսցհօղյզ"
        "ıłøđħŧƅɑɡɩʋʏʙʜɪʟɴʀᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱⅼ",
        "abbrдee3ийkлmhopctyxчbsijdghqwleкyfknhч"
        "abyeznikvoptuxwcjo"
        "wenugholjq"
        "ilodhtbagivybhilnracdejkmoptuvwzsl",
        strict=True,
    )
)
# Capitals that look like other letters than their small forms do.
_CAPITALS = str.maketrans("ΗΜΝΥ", "hmny")
_BLANKS = "\u115f\u1160\u3164\uffa0\u2800\u034f"
_QUOTES = {
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "‐": "-",
    "‑": "-",
    "–": "-",
    "—": "-",
    "。": ".",
    "․": ".",
}

# Scripts that put no blanks between words: each character counts as a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}](?:[^\W{_UNSPACED}]*[^\W_{_UNSPACED}])?")
_ASCII_WORD = re.compile(r"[a-z0-9](?:\w*[a-z0-9])?", re.ASCII)
_CLOSED_UP = re.compile(rf"[{_UNSPACED}]")


_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_SELECTOR = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


class _Folding(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        hidden = unicodedata.category(char) in ("Mn", "Me", "Cf") or char in _BLANKS
        folded = "" if hidden else _LOOKALIKES.get(char) or _QUOTES.get(char) or char
        self[code] = folded
        return folded


_FOLDING = _Folding()


def plain(text: str) -> str:
    """Return a text without differences that no reader means: NFKC, no case, blanks as one space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def folded(text: str) -> str:
    """Return a text without differences that no reader sees: look-alikes, accents, what is invisible."""
    if text.isascii():
        return text.lower()
    return _FOREIGN.sub(_fold, text).lower()


def _fold(foreign: re.Match[str]) -> str:
    return unicodedata.normalize("NFKD", foreign[0]).translate(_CAPITALS).casefold().translate(_FOLDING)


def invisible(text: str) -> bool:
    """Whether characters stand in a text that nobody sees."""
    return not text.isascii() and any(
        char in _BLANKS or unicodedata.category(char) == "Cf" or _SELECTOR.match(char) for char in set(text)
    )


def words(text: str) -> list[str]:
    """Return the words of a normalised text; of scripts without blanks each character is one."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def places(text: str) -> list[tuple[int, int]]:
    """Return where the words of a normalised text begin and end."""
    return [match.span() for match in (_ASCII_WORD if text.isascii() else _WORD).finditer(text)]


def grams(tokens: Sequence[str]) -> list[int]:
    """Return a hash of each three words that stand in a row."""
    return list(map(hash, zip(tokens, tokens[1:], tokens[2:], strict=False)))


def weight(tokens: Sequence[str]) -> float:
    """Return how many words these are; characters of scripts without blanks make half a word."""
    return sum(0.5 if _CLOSED_UP.match(token) else 1.0 for token in tokens)


def unspaced(text: str) -> list[str]:
    """Return the runs of characters of scripts that put no blanks between words."""
    return re.findall(rf"[{_UNSPACED}]+", text)
