"""Texts that were said and read, kept in the forms in which pieces of them are looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmasos.agent.provenance.normal import folded, plain, unspaced, words
from llmasos.decisions import Source

GRAM = 3
_SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "ies", "er", "ed", "es", "s", "e", "y")
# Words that say nothing about which thing is meant.
_EMPTY = frozenset(
    "the and for with from into this that these those all any some new old out not are was has have can you your "
    "please make file files folder folders directory what which how who where when then than about http https "
    "www com org net txt tmp usr".split()
)


def grams(tokens: Sequence[str]) -> list[int]:
    """Return a hash of each three words that stand in a row."""
    return list(map(hash, zip(tokens, tokens[1:], tokens[2:], strict=False)))


@dataclass(frozen=True, slots=True)
class Remembered:
    """A text that the model has read.

    Args:
        source: Where it was found.
        decoded: Whether it lay encoded there.
        line: Its words in a row, each between blanks.
        compact: Its letters and digits alone.
        grams: Hashes of each three words in a row.
    """

    source: Source
    decoded: bool
    line: str
    compact: str
    grams: frozenset[int]

    @classmethod
    def of(cls, text: str, source: Source, *, decoded: bool = False) -> Remembered:
        """Return a text in these forms."""
        tokens = words(folded(text))
        line = " ".join(tokens)
        return cls(
            source,
            decoded,
            f" {line} ",
            line.replace(" ", "").replace("_", ""),
            frozenset(grams(tokens)),
        )

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, roughly."""
        return len(self.line) + len(self.compact) + 80 * len(self.grams)


class Said:
    """What the person has said in a session."""

    def __init__(self) -> None:
        self._text = "\n"
        self._line = " "
        self._grams: set[int] = set()
        self._stems: set[str] = set()

    def add(self, text: str) -> None:
        """Remember a text of the person."""
        said = plain(text)
        tokens = words(said)
        self._text += f"{said}\n"
        self._line += f"{' '.join(tokens)} \n "
        self._grams.update(grams(tokens))
        self._stems.update(stem for token in tokens for stem in stems(token))

    def whole(self, value: str) -> bool:
        """Whether the person said this, with nothing grown onto either end."""
        wanted = plain(value)
        if not any(map(str.isalnum, wanted)):
            return False
        at = self._text.find(wanted)
        while at >= 0:
            before, after = self._text[at - 1], self._text[at + len(wanted) : at + len(wanted) + 2]
            if not (_grown(before, wanted[0]) or _grown_on(after, wanted[-1])):
                return True
            at = self._text.find(wanted, at + 1)
        return False

    def gram(self, gram: int) -> bool:
        """Whether the person said three words with this hash in a row."""
        return gram in self._grams

    def words(self, tokens: Sequence[str]) -> bool:
        """Whether the person said these words in a row."""
        return f" {' '.join(tokens)} " in self._line

    def named(self, name: str) -> bool:
        """Whether a word of a name, in any of its endings, is a word of what the person said."""
        wanted = plain(name)
        for run in unspaced(wanted):
            if any(run[start : start + 2] in self._text for start in range(max(1, len(run) - 1))):
                return True
        parts = (part for token in words(wanted) for part in token.split("_"))
        return any(
            stem in self._stems or (len(stem) >= 5 and any(said.startswith(stem) for said in self._stems))
            for part in parts
            for stem in stems(part)
        )


def stems(word: str) -> tuple[str, ...]:
    """Return a word without its ending, or nothing when it does not tell which thing is meant."""
    parts = word.split("_") if "_" in word else [word]
    found = []
    for part in parts:
        if len(part) < 3 or part in _EMPTY or not part.isalpha():
            if not (part.isdigit() and len(part) > 1):
                continue
        for suffix in _SUFFIXES:
            if part.endswith(suffix) and len(part) - len(suffix) >= 3:
                part = part.removesuffix(suffix)
                break
        found.append(part)
    return tuple(found)


def _grown(char: str, edge: str) -> bool:
    """Whether a name goes on before its first character."""
    return edge.isalnum() and edge.isascii() and ((char.isalnum() and char.isascii()) or char in "_.-")


def _grown_on(after: str, edge: str) -> bool:
    """Whether a name goes on behind its last character; a sentence may end there."""
    if not (edge.isalnum() and edge.isascii()) or not after:
        return False
    char, further = after[0], after[1:]
    return (char.isalnum() and char.isascii()) or char == "_" or (char in ".-@" and further.isalnum())
