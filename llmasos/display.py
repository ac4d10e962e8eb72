"""Text from elsewhere as a person may see it: what is hidden is shown, and nothing acts on the terminal."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Letters that are drawn like Latin ones, of scripts that are not mixed with them in a word.
_CYRILLIC = "аеорсухіјѕһԁԛԝѵӏАВЕКМНОРСТУХІЈЅԌԚԜҮѴӀ"
_GREEK = "ονρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
_OTHERS = "օսոհցյքՍՏԼՕ\u13a0-\u13fd\ua4d0-\ua4fd\U0001d400-\U0001d7cbａ-ｚＡ-Ｚɑɡɩℓ\u2160-\u217f\u2c80-\u2cb1"
_LOOKALIKE = f"[{_CYRILLIC}{_GREEK}{_OTHERS}]"
_WORD = r"[^\W\d_]+"
_LATIN = r"[A-Za-z\u00c0-\u024f]"
# Drawn like the signs that part a path and begin an ending, and spaces that are none of the keyboard's.
_NAME_SIGNS = "[\u2044\u2215\u29f8\u2571\u2024\ua4f8\ua789\u2236\u00a0\u1680\u2000-\u200a\u202f\u205f]"

# Printable by their category, and still nothing is seen of them.
_UNSEEN = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00013441\U00013442\U00016fe4\U0001d159\U000e0100-\U000e01ef"
)
# Marks that are drawn over what stands before them; more than language needs would cover other lines.
_MARKS = (
    "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1-\u05c5\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u1ab0-\u1ace\u1dc0-\u1dff"
    "\u20d0-\u20f0\ufe20-\ufe2f"
)
_MOST_MARKS = 8
_SUSPECT = rf"[{_UNSEEN}]|\A[{_MARKS}]|[{_MARKS}]{{{_MOST_MARKS + 1},}}"
_MARK = f"[{_MARKS}]"
_LAST_MARKS = f"[{_MARKS}]*\\Z"
_UNSEEN_CHAR = f"[{_UNSEEN}]"

# Parts of text that are not printable by themselves and belong there.
_PICTURE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_HAN = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
# Scripts whose letters are joined or kept apart by joiners.
_JOINING = (
    "[\u0620-\u065f\u066e-\u06d3\u06d5-\u06dc\u06fa-\u06ff\u0710-\u07bf\u07ca-\u07f5\u0840-\u085b\u0860-\u08ff"
    "\u0900-\u0df4\u0f00-\u109f\u1780-\u17b3\u17b6-\u17dd\u1820-\u18aa\u1a00-\u1aad\u1b00-\u1bff\ua840-\ua9df"
    "\uaae0-\uaaff\uabc0-\uabed\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00010a3f\U00011000-\U0001167f"
    "\U0001e900-\U0001e94b]"
)
_VIRAMA = (
    "[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u103a\u17d2\u1b44\u1bab"
    "\ua8c4\ua953\ua9c0]"
)
_PLAIN = (
    rf"(?<={_PICTURE})[\ufe0e\ufe0f](?![\ufe00-\ufe0f])"
    rf"|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    rf"|(?:(?<={_PICTURE})|(?<={_PICTURE}\ufe0f))\u200d(?={_PICTURE})"
    rf"|(?<={_JOINING})[\u200c\u200d](?={_JOINING})|(?<={_VIRAMA})[\u200c\u200d](?![\u200b-\u200d])"
    rf"|(?<={_HAN})[\ufe00-\ufe02\U000e0100-\U000e011f](?![\ufe00-\ufe0f\U000e0100-\U000e01ef])"
    r"|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f](?![\u180b-\u180f])"
    # Signs that are drawn around numbers of Arabic and Syriac.
    r"|[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]"
    # The flags of England, Scotland and Wales.
    "|(?<=\U0001f3f4)\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
_AT_AN_END = "[\u200c\u200d\ufe00-\ufe0f\u180b-\u180f\U000e0000-\U000e01ef]+\\Z"
_LONGEST_CONTEXT = 8


def display(text: str, *, keep_newlines: bool = False) -> str:
    """Return text that is safe and unambiguous on a terminal.

    Control characters, terminal escapes, bidirectional controls, invisible characters and undecodable bytes
    become visible escapes such as `\\n`, `\\x1b` or `\\u202e`. Joiners and variation selectors stay where a
    script or an emoji needs them.
    """
    return _shown(text, "", keep_newlines)


def display_name(name: str) -> str:
    """Return a file's name as `display` does, with letters that only look like Latin ones as escapes, too.

    They are those in a word with Latin letters, and those of words that have none but such letters.
    """
    text = display(name)
    if text.isascii():
        return text
    latin, lookalike = _compiled(_LATIN), _compiled(_LOOKALIKE)
    words = [word for word in _compiled(_WORD).findall(text) if not latin.search(word)]
    # A letter that looks like no Latin one tells that the others of its script are meant, too.
    telling = lookalike.sub("", "".join(words)) != ""

    def told(word: re.Match[str]) -> str:
        return word[0] if telling and not latin.search(word[0]) else lookalike.sub(_escaped, word[0])

    return _compiled(_WORD).sub(told, _compiled(_NAME_SIGNS).sub(_escaped, text))


def display_json(text: str) -> str:
    """Return JSON of the same value, in which everything that could act or hide is escaped as in JSON."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char == "\n" or _seen(char) else _escape_json(char) for char in text)


class Stream:
    """Displays a text that comes in pieces, and cuts nothing that belongs together; newlines stay."""

    def __init__(self) -> None:
        self._before = ""
        self._held = ""

    def show(self, piece: str) -> str:
        """Return what may be shown now; a joiner waits for what it joins."""
        text = self._held + piece
        end = _compiled(_AT_AN_END).search(text)
        kept = end is not None and len(end[0]) <= _LONGEST_CONTEXT
        self._held = end[0] if end is not None and kept else ""
        return self._take(text.removesuffix(self._held))

    def end(self) -> str:
        """Return the rest."""
        text, self._held = self._held, ""
        return self._take(text)

    def _take(self, text: str) -> str:
        shown = _shown(text, self._before, True)
        self._before = (self._before + text).rpartition("\n")[2][-_LONGEST_CONTEXT - 1 :]
        return shown


def _shown(text: str, before: str, keep_newlines: bool) -> str:
    if not keep_newlines:
        return _line(text, before, "")
    first, *rest = text.split("\n")
    return "\n".join([_line(first, before, "\t"), *(_line(line, "", "\t") for line in rest)])


def _line(text: str, before: str, kept: str) -> str:
    """Return a line as it is shown; lines with nothing to hide are told at once."""
    bare = text.replace(kept, "") if kept else text
    if bare.isprintable() and (text.isascii() or not _compiled(_SUSPECT).search(before + text)):
        return text
    whole, at, shown = before + text, len(before), []
    found = _compiled(_LAST_MARKS).search(before)
    marks = len(found[0]) if found else 0
    while at < len(whole):
        char = whole[at]
        if (found := _compiled(_PLAIN).match(whole, at)) is not None:
            shown.append(found[0])
            at = found.end()
            continue
        marks = marks + 1 if _compiled(_MARK).match(char) else 0
        fits = at > 0 and marks <= _MOST_MARKS if marks else char == kept or _seen(char)
        shown.append(char if fits else _escape(char))
        at += 1
    return "".join(shown)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # At its first use: most text needs none, and the command line is to start at once.
    return re.compile(pattern)


def _seen(char: str) -> bool:
    if char.isprintable():
        return not _compiled(_UNSEEN_CHAR).match(char)
    # Spaces, and emoji that are younger than this Python.
    return unicodedata.category(char) == "Zs" or "\U0001f000" <= char <= "\U0001faff"


def _escaped(found: re.Match[str]) -> str:
    return _escape(found[0])


def _escape_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
