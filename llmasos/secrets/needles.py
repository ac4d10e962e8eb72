"""Known values that are found whatever stands between their letters, by those alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from llmasos.secrets.forms import forms_of
from llmasos.secrets.randomness import looks_random
from llmasos.secrets.rewritten import letters, visible
from llmasos.secrets.wraps import unspaced
from llmasos.secrets.writings import certain_base85, shifted, writings_of

_SHORTEST = 8
# Few letters of something encoded stand in any long text by chance: its signs must be there, too.
_SHORTEST_ENCODED = 10
_STEP = 4
_WIDE, _NARROW = 8, 4
_BEGUN = 5
_AT_ONCE = 1024
_SPREAD = re.compile(r"(?:[^\W_](?:[\W_])+)+[^\W_]", re.ASCII)
_SIGNS = re.compile(r"[\W_]+")
_SIGN = re.compile(r"[^\w\s]|_")


class Hit(NamedTuple):
    """Where the letters of a value stand, and whether it stands there as it is, not encoded."""

    start: int
    end: int
    value: str
    plain: bool


class _Grams:
    """Pieces of values that are read as numbers, at every fourth letter.

    Args:
        width: How many letters make a piece, which lies in whatever has three more.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._places: dict[int, tuple[tuple[int, int], ...]] = {}

    def add(self, form: str) -> None:
        """Add the pieces of a form, so that it has one wherever it begins."""
        data = form.encode()
        for at in range(_STEP):
            gram, place = int.from_bytes(data[at : at + self.width], sys.byteorder), (at, len(form))
            places = self._places.get(gram, ())
            if place not in places:
                self._places[gram] = (*places, place)

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where a form may begin and end."""
        known = self._places
        if not known:
            return
        for first in range(0, self.width, _STEP):
            whole = (len(data) - first) // self.width * self.width
            grams = memoryview(data)[first : first + whole].cast("Q" if self.width == _WIDE else "I")
            for row in range(0, len(grams), _AT_ONCE):
                some = grams[row : row + _AT_ONCE]
                if known.keys().isdisjoint(some):
                    continue
                for place, gram in enumerate(some, row):
                    for offset, length in known.get(gram, ()):
                        start = first + place * self.width - offset
                        if 0 <= start <= len(data) - length:
                            yield start, start + length


class Needles:
    """Known values as their letters are looked for, also turned and encoded.

    The time is that of the text alone, however many values there are.
    """

    def __init__(self) -> None:
        self.signs: dict[str, str] = {}
        """What has too few letters to be found by them, and the values it stands for."""
        self._values: dict[str, tuple[str, bool]] = {}
        self._grams, self._short = _Grams(_WIDE), _Grams(_NARROW)
        self._begin: dict[str, tuple[str, ...]] = {}
        self.longest = 0

    def add(self, value: str) -> None:
        """Look for another value from now on."""
        plain, encoded = (value, True), (value, False)
        known = _letters(value)
        exact = [form for form in (*forms_of(value), *certain_base85(value)) if len(form) >= _SHORTEST]
        self.signs = self.signs | {unspaced(form): value for form in exact if _few(form, known)}
        for form in writings_of(value):
            if _few(form, known):
                continue
            for found in {_letters(form), _letters(unspaced(form))}:
                for turned in (found, found[::-1]):
                    if len(turned) >= _SHORTEST and turned not in self._values:
                        self._values[turned] = plain if found == known else encoded
                        self._index(turned)

    def _index(self, form: str) -> None:
        (self._grams if len(form) >= _WIDE + _STEP - 1 else self._short).add(form)
        self._begin[form[:_BEGUN]] = (*self._begin.get(form[:_BEGUN], ()), form)
        self.longest = max(self.longest, len(form))

    def begun(self, text: str) -> int:
        """Return from where on letters and digits are the beginning of a value, or how many there are."""
        for at in range(max(0, len(text) - self.longest + 1), len(text) - _BEGUN + 1):
            if forms := self._begin.get(text[at : at + _BEGUN]):
                rest = text[at:]
                if any(len(form) > len(rest) and form.startswith(rest) for form in forms):
                    return at
        return len(text)

    def find(self, text: str) -> Iterator[Hit]:
        """Yield the values in a text that is nothing but letters and digits."""
        data = text.encode()
        for grams in (self._grams, self._short):
            for start, end in grams.find(data):
                if found := self._values.get(text[start:end]):
                    yield Hit(start, end, *found)


def _few(form: str, known: str) -> bool:
    """Tell whether a form of a value has too few letters to be found by them, those of the value given."""
    found = _letters(form)
    if found == known or len(found) == len(form):
        return len(found) < _SHORTEST
    return len(found) < _SHORTEST_ENCODED


def _letters(form: str) -> str:
    seen = visible(form)
    return letters(seen if isinstance(seen, str) else seen.text)


def copied(value: str, written: str) -> bool:
    """Tell whether a piece of text with the letters of a value is a copy of it, as it is or turned.

    What is built of words may stand in a text by chance, with other signs between them, or none. A copy has
    those of the value, or something after every letter.
    """
    if looks_random(_SIGNS.sub("-", value)) or _SPREAD.fullmatch(written):
        return True
    turned = (value, shifted(value))
    return any(_same(low, written.lower()) for one in turned for low in (one.lower(), one[::-1].lower()))


def _same(value: str, written: str) -> bool:
    if _SIGN.search(value.strip()) is None:
        return value in written
    signs = iter(written)
    return all(char in signs for char in "".join(value.split()).strip("-_.,:;!?/'\"()[]{}<>"))
