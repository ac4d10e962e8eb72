"""What the records of erasures cover: bodies that may be missing."""

from __future__ import annotations

import json

from llmasos.ledger._pages import Pages
from llmasos.ledger._types import SYSTEM

PAGE = 250
WINDOW = 1_000_000

_ERASURES = (
    "SELECT seq, number, body FROM ledger_records WHERE session = ? AND kind = 'erase' AND seq > ?"
    " ORDER BY seq LIMIT ?"
)


class Erasures:
    """Which records some `erase` record after them names, for one window of numbers at a time.

    An `erase` record is one like all others: whether it was altered is told by its own digest. One that
    cannot be read covers nothing.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._start, self._seq = -1, 0
        self._bits = bytearray()

    def __call__(self, number: int) -> bool:
        """Return whether a record's erasure was recorded."""
        start = number - number % WINDOW
        if start != self._start:
            self._start, self._seq, self._bits = start, 0, bytearray(WINDOW)
            self._read()
        # An erasure may have been recorded since the window was read.
        return bool(self._bits[number - start]) or (self._read() and bool(self._bits[number - start]))

    def _read(self) -> bool:
        before = self._seq
        while rows := self._pages.fetch(_ERASURES, SYSTEM, self._seq, PAGE):
            for self._seq, number, body in rows:
                for first, last in _ranges(body):
                    low, high = max(first, self._start), min(last + 1, number, self._start + WINDOW)
                    if low < high:
                        self._bits[low - self._start : high - self._start] = b"\1" * (high - low)
        return self._seq != before


def _ranges(body: str) -> list[tuple[int, int]]:
    try:
        return [(int(first), int(last)) for first, last in json.loads(body)["ranges"]]
    except (TypeError, ValueError, KeyError):
        return []
