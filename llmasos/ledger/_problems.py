"""What a verification finds wrong, in plain words."""

from __future__ import annotations

from bisect import insort

KEPT = 100


class Problems:
    """The first problems and how many there are: those of records first, in the order of the records."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[tuple[bool, float, int, str, float | str]] = []
        self._known: set[float | str] = set()

    @property
    def texts(self) -> tuple[str, ...]:
        """The problems that were kept, and how many were not."""
        more = self.count - len(self._kept)
        rest = (f"{more} more problems are not shown.",) if more else ()
        return tuple(text for *_, text, _ in self._kept) + rest

    @property
    def full(self) -> bool:
        """Whether there are more than anyone reads."""
        return self.count >= KEPT

    def record(self, number: int, text: str) -> None:
        """Add what is wrong with a record, of which one problem is enough."""
        self._add(False, number, text, number)

    def missing(self, at: float, text: str) -> None:
        """Add records that are missing.

        Args:
            at: The number of the first; a half more than that of the one it comes after.
        """
        self._add(False, at, text, text)

    def other(self, at: float, text: str) -> None:
        """Add a problem that is not one record's.

        Args:
            at: The number of the first record concerned; a half more than that of the one it comes after.
        """
        self._add(True, at, text, text)

    def extend(self, others: Problems) -> None:
        """Add all problems of another collection."""
        for late, at, _, text, known in others._kept:
            self._add(late, at, text, known)
        self.count += others.count - len(others._kept)

    def _add(self, late: bool, at: float, text: str, known: float | str) -> None:
        if known in self._known:
            return
        # The number itself may be what was altered.
        at = at if isinstance(at, int | float) else 0
        self.count += 1
        # Of endless problems only the first are kept; those before them still displace them.
        if len(self._kept) == KEPT:
            if (late, at) >= self._kept[-1][:2]:
                return
            self._known.discard(self._kept.pop()[4])
        self._known.add(known)
        # What was altered may be text that no terminal takes.
        text = text.encode(errors="backslashreplace").decode()
        insort(self._kept, (late, at, self.count, text, known))


def record_name(session: object, seq: object, kind: object = "", action: object = "") -> str:
    """Return how a record is spoken of."""
    of = f" of action {action!r}" if action else ""
    what = f" ({kind}{of})" if kind else ""
    return f"Record {seq} of session {session!r}{what}"
