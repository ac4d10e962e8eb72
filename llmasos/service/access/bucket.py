"""Token buckets: so much in a minute, and a minute's worth at once at most."""

from __future__ import annotations

from collections.abc import Callable

_MINUTE = 60.0


class Bucket:
    """A token bucket, full at first, which may go into debt for what was already used.

    Args:
        per_minute: What flows in within a minute, and what it holds at most.
        clock: A monotonic clock in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._level = float(per_minute)
        self._at = clock()

    @property
    def level(self) -> float:
        """What may be taken now; negative while it is in debt."""
        now = self._clock()
        flowed = (now - self._at) * self.per_minute / _MINUTE
        self._level, self._at = min(float(self.per_minute), self._level + flowed), now
        return self._level

    def take(self, amount: float) -> None:
        """Take an amount, whether it is there or not."""
        self._level = self.level - amount

    def wait(self, amount: float = 1.0) -> float:
        """Return the seconds until an amount is there; 0 when it is."""
        return max(0.0, (amount - self.level) * _MINUTE / self.per_minute)

    def full_in(self) -> float:
        """Return the seconds until it is full."""
        return self.wait(self.per_minute)
