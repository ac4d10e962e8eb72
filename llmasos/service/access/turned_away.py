"""Calls of a key that were refused, counted so that they cannot fill the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_EVERY_SECONDS = 60.0


class TurnedAway:
    """Refused calls by the reason's code; the first is recorded at once, and then one record a minute.

    Args:
        clock: A monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._recorded: dict[str, float] = {}
        self._waiting: dict[str, int] = {}

    def add(self, code: str) -> int:
        """Count a refusal, and return how many are to be recorded now."""
        count = self._waiting.pop(code, 0) + 1
        now = self._clock()
        if now - self._recorded.get(code, -_EVERY_SECONDS) >= _EVERY_SECONDS:
            self._recorded[code] = now
            return count
        self._waiting[code] = count
        return 0

    def rest(self) -> Iterator[tuple[str, int]]:
        """Return what is counted and not recorded yet, which counts as recorded then."""
        waiting, self._waiting = self._waiting, {}
        yield from waiting.items()
