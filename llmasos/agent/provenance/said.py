"""What one of the two who speak in a session has said: the person, or the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from llmasos.agent.provenance.normal import GRAM, grams, plain, unspaced, words

_SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "ies", "er", "ed", "es", "s", "e", "y")
# Words that say nothing about which thing is meant.
_EMPTY = re.compile(
    r"the|and|for|with|from|into|this|that|these|those|all|any|some|new|old|out|not|are|was|has|have|can|"
    r"you|your|please|make|file|files|folder|folders|directory|what|which|how|who|where|when|then|than|"
    r"about|http|https|www|com|org|net|txt|tmp|usr"
)
_LONGEST_ENDING = 8
_SHORTEST_LIKE = 5  # letters, for words that only begin alike
_FOLDER = re.compile(r"(?<!\S)[\"'`(]?((?:[^\s/:\"'`(]+/)+)[^\s/]")
_NUMBER = re.compile(r"\d+(?:[.,' \u00a0]\d{3})*(?:[.,]\d+)?")
_BETWEEN = re.compile(r"[\s\u00a0().-]+")
_LEAST_ACCOUNT, _MOST_ACCOUNT = 8, 80
_MOST_EXACT = 10**15


class Said:
    """What one of them has said, kept as it was written: look-alikes of it are not it.

    Args:
        most: Characters that are remembered; what is said after them is not.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._text = "\n"
        self._line = " "
        self._grams: set[int] = set()
        self._stems: set[str] = set()
        self._long: dict[str, set[str]] = {}
        self._folders: set[str] = set()
        self._numbers: set[float] = set()

    def add(self, text: str) -> None:
        """Remember a text."""
        said = plain(text)
        if len(self._text) + len(said) > self._most:
            return
        tokens = words(said)
        self._text += f"{said}\n"
        self._line += f"{' '.join(tokens)} \n "
        self._grams.update(grams(tokens))
        alone = " ".join(map(_alone, said.split()))
        for stem in (stem for token in words(alone) for stem in _stems(token)):
            self._stems.add(stem)
            self._long.setdefault(stem[:_SHORTEST_LIKE], set()).add(stem)
        self._folders.update(_FOLDER.findall(said))
        self._numbers.update(number for found in _NUMBER.findall(said) for number in _numbers(found))

    def whole(self, value: str) -> bool:
        """Whether this was said, with nothing grown onto either end."""
        wanted = plain(value)
        if not any(map(str.isalnum, wanted)):
            return False
        at = self._text.find(wanted)
        while at >= 0:
            end = at + len(wanted)
            if _ends(self._text[at - 1 : at], wanted[0]) and _ends(self._text[end : end + 2], wanted[-1]):
                return True
            at = self._text.find(wanted, at + 1)
        return False

    def number(self, value: float) -> bool:
        """Whether this number was said, in any writing."""
        return abs(value) < _MOST_EXACT and float(value) in self._numbers

    def account(self, value: str) -> bool:
        """Whether this number of an account or a telephone was said, grouped in any way."""
        wanted = _BETWEEN.sub("", plain(value))
        if not _LEAST_ACCOUNT <= len(wanted) <= _MOST_ACCOUNT:
            return False
        if not wanted.isalnum() or not any(map(str.isdigit, wanted)):
            return False
        grouped = r"[\s\u00a0().-]{0,2}".join(map(re.escape, wanted))
        return re.search(rf"(?<!\w){grouped}(?!\w)", self._text) is not None

    def covered(self, tokens: Sequence[str]) -> list[bool]:
        """Return for each three words in a row whether they were said."""
        if len(tokens) == GRAM - 1:
            return []
        return [one in self._grams for one in grams(tokens)]

    def words(self, tokens: Sequence[str]) -> bool:
        """Whether these words were said in a row."""
        return f" {' '.join(tokens)} " in self._line

    def named(self, name: str) -> bool:
        """Whether a word of a name, with any ending, is a word of what was said.

        Who names a file of a folder means none of the others there.
        """
        wanted = plain(name)
        folder = wanted[: wanted.rfind("/") + 1]
        if folder in self._folders:
            wanted = wanted[len(folder) :]
        for run in unspaced(wanted):
            pairs = [run[start : start + 2] for start in range(max(1, len(run) - 1))]
            if any(pair in self._text for pair in pairs):
                return True
        return any(self._near(stem) for token in words(wanted) for stem in _stems(token))

    def _near(self, stem: str) -> bool:
        if stem in self._stems:
            return True
        if len(stem) < _SHORTEST_LIKE:
            return False
        return any(
            max(len(said), len(stem)) - min(len(said), len(stem)) <= _LONGEST_ENDING
            and (said.startswith(stem) or stem.startswith(said))
            for said in self._long.get(stem[:_SHORTEST_LIKE], ())
        )


def _alone(word: str) -> str:
    """Return what a word names by itself: not an address, a link's host, or the folders of a path."""
    if "@" in word[1:-1]:
        return ""
    at = word.find("://")
    if at > 0:
        while at and (word[at - 1].isalnum() or word[at - 1] in "_+.-"):
            at -= 1
        return word[:at]
    return word.rstrip("/").rpartition("/")[2]


def _numbers(text: str) -> Iterator[float]:
    """Give what digits may stand for: a comma is that of a fraction, or one between thousands."""
    digits = re.sub(r"[' \u00a0]", "", text)
    for written in {digits.replace(",", ""), digits.replace(".", "").replace(",", ".")}:
        if written.count(".") <= 1:
            yield float(written)


def _stems(word: str) -> Iterator[str]:
    """Give the parts of a word without their endings, but for those that do not tell which thing is meant."""
    for part in word.split("_"):
        if _EMPTY.fullmatch(part) or not (
            (part.isalpha() and len(part) >= 3) or (part.isdigit() and len(part) >= 2)
        ):
            continue
        for suffix in _SUFFIXES:
            if part.endswith(suffix) and len(part) - len(suffix) >= 3:
                part = part.removesuffix(suffix)
                break
        # tagged and tag, running and run
        yield part[:-1] if len(part) > 3 and part[-1] == part[-2] else part


def _ends(beside: str, edge: str) -> bool:
    """Whether a name ends where this stands beside its edge: a full stop may be that of a sentence."""
    if not beside or not (edge.isascii() and edge.isalnum()):
        return True
    if (beside[0].isascii() and beside[0].isalnum()) or beside[0] == "_":
        return False
    return not (beside[0] in ".-@" and (len(beside) == 1 or beside[1].isalnum()))
