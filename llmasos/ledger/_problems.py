"""What a verification finds wrong, in plain words."""

from __future__ import annotations

from bisect import insort

KEPT = 100


class Problems:
    """The first problems in the order of the records concerned, and how many there are in all."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[tuple[float, int, str, float | str]] = []
        self._known: set[float | str] = set()

    @property
    def texts(self) -> tuple[str, ...]:
        """The problems that were kept, and how many were not."""
        more = self.count - len(self._kept)
        rest = (f"{more} more problems are not shown.",) if more else ()
        return tuple(text for _, _, text, _ in self._kept) + rest

    @property
    def full(self) -> bool:
        """Whether there are more than anyone reads."""
        return self.count >= KEPT

    def record(self, number: int, text: str) -> None:
        """Add what is wrong with a record, of which one problem is enough."""
        self._add(number, text, number)

    def other(self, at: float, text: str) -> None:
        """Add a problem that is not one record's.

        Args:
            at: The number of the first record concerned; a half more than that of the record it comes after.
        """
        self._add(at, text, text)

    def extend(self, others: Problems) -> None:
        """Add all problems of another collection."""
        for at, _, text, known in others._kept:
            self._add(at, text, known)
        self.count += others.count - len(others._kept)

    def _add(self, at: float, text: str, known: float | str) -> None:
        if known in self._known:
            return
        self.count += 1
        # Of endless problems only the first are kept; those before them still displace them.
        if len(self._kept) == KEPT:
            if at >= self._kept[-1][0]:
                return
            self._known.discard(self._kept.pop()[3])
        self._known.add(known)
        insort(self._kept, (at, self.count, text, known))


def record_name(session: object, seq: object, kind: object = "", action: object = "") -> str:
    """Return how a record is spoken of."""
    of = f" of action {action!r}" if action else ""
    what = f" ({kind}{of})" if kind else ""
    return f"Record {seq} of session {session!r}{what}"
