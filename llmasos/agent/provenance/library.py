"""What the model has read, kept in the forms in which pieces of it are looked up."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import reduce
from operator import and_

from llmasos.agent.provenance.normal import folded, grams, words
from llmasos.decisions import Source

_SPOKEN = re.compile(r"[\w\s]+")
_BYTES_PER_TEXT = 1000
_BYTES_PER_WORD = 120


@dataclass(frozen=True, slots=True)
class Text:
    """A text that the model has read.

    Args:
        source: Where it was found.
        decoded: Whether it lay encoded there.
        line: Its words in a row, each between blanks.
        compact: Its letters and digits alone.
        signs: What is left without these and without blanks.
        grams: Hashes of each three words in a row, in order of size.
    """

    source: Source
    decoded: bool
    line: str
    compact: str
    signs: str
    grams: array[int]

    def hits(self, wanted: Sequence[int]) -> set[int]:
        """Return those of some hashes that are among its own."""
        own = self.grams
        end = len(own)
        found = set()
        for one in wanted:
            at = bisect_left(own, one)
            if at < end and own[at] == one:
                found.add(one)
        return found

    @property
    def size(self) -> int:
        """Bytes of memory that it takes with its share of the indexes, roughly."""
        return _BYTES_PER_TEXT + 2 * len(self.line) + len(self.signs) + _BYTES_PER_WORD * len(self.grams)


class Library:
    """Texts with indexes by words, and by three words in a row.

    Args:
        most: Bytes of memory that they may take, roughly; the oldest give way.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._texts: list[Text] = []
        self._by_word: dict[str, int] = {}
        self._grams: set[int] = set()
        self._size = 0
        self.forgot = False

    def __bool__(self) -> bool:
        return bool(self._texts)

    def add(self, text: str, source: Source, *, decoded: bool) -> None:
        """Put a text into it."""
        form = folded(text)
        tokens = words(form)
        line = " ".join(tokens)
        hashes = set(grams(tokens))
        compact = line.replace(" ", "").replace("_", "")
        one = Text(source, decoded, f" {line} ", compact, _SPOKEN.sub("", form), array("q", sorted(hashes)))
        self._size += one.size
        self._enter(one, set(tokens), hashes)
        if self._size > self._most:
            self._forget()

    def _enter(self, text: Text, vocabulary: Set[str], hashes: Set[int]) -> None:
        bit = 1 << len(self._texts)
        self._texts.append(text)
        self._grams.update(hashes)
        by_word = self._by_word
        for word in vocabulary:
            by_word[word] = by_word.get(word, 0) | bit

    def _forget(self) -> None:
        """Keep the newest texts, those that fit into half of the memory."""
        self.forgot = True
        texts = self._texts
        while texts and self._size > self._most // 2:
            self._size -= texts.pop(0).size
        self._texts, self._by_word, self._grams = [], {}, set()
        for text in texts:
            self._enter(text, set(text.line.split()), set(text.grams))

    def with_grams(self, wanted: Set[int]) -> Iterator[tuple[Text, set[int]]]:
        """Give the texts in which some of these hashes occur, each with those."""
        known = sorted(wanted & self._grams)
        if known:
            for text in self._texts:
                if hits := text.hits(known):
                    yield text, hits

    def with_words(self, tokens: Sequence[str]) -> Iterator[Text]:
        """Give the texts in which these words stand in a row."""
        if not tokens:
            return
        line = f" {' '.join(tokens)} "
        mask = reduce(and_, (self._by_word.get(token, 0) for token in tokens))
        while mask:
            text = self._texts[(mask & -mask).bit_length() - 1]
            if line in text.line:
                yield text
            mask &= mask - 1

    def with_letters(self, compact: str) -> Iterator[Text]:
        """Give the texts that have these letters and digits in a row, with blanks anywhere between them."""
        near = [text for text in self._texts if compact in text.compact]
        if near:
            spaced = re.compile(rf"(?<![^\W_]){r'[ _]*'.join(map(re.escape, compact))}(?![^\W_])")
            yield from (text for text in near if spaced.search(text.line))

    def with_signs(self, code: str) -> Iterator[Text]:
        """Give the texts that have the signs of a code without words in a row."""
        signs = _SPOKEN.sub("", code)
        return (text for text in self._texts if signs in text.signs)
