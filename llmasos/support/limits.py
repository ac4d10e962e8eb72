"""How much visitors may ask: so many questions in a time from each address, and so many waiting over all."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_KNOWN = 10_000


class Limiter:
    """A token bucket for each key.

    Args:
        count: How many at most in `seconds`.
        seconds: The time in which a bucket fills up.
        clock: A monotonic clock in seconds.
    """

    def __init__(self, count: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._seconds = seconds
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> int:
        """Take one, and return 0; or the seconds after which there is one again."""
        now = self._clock()
        level, at = self._levels.pop(key, (float(self._count), now))
        level = min(self._count, level + (now - at) * self._count / self._seconds)
        allowed = level >= 1
        self._levels[key] = (level - 1 if allowed else level), now
        if len(self._levels) > _MOST_KNOWN:
            self._levels.popitem(last=False)
        return 0 if allowed else math.ceil((1 - level) * self._seconds / self._count)
