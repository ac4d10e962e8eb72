"""Moving averages of one model."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_WAITS = 256
_WINDOW_SECONDS = 10.0
_SMOOTHING = 0.2


@dataclass
class Tally:
    """What was measured lately of one model.

    Args:
        loads: How often it was made resident.
        evictions: How often it had to leave its device.
        first_seconds: Average time to the first token, the newest counting most; None before any.
        last_used: When it last wrote something, as the scheduler's clock says.
    """

    loads: int = 0
    evictions: int = 0
    first_seconds: float | None = None
    last_used: float | None = None
    _waits: deque[float] = field(default_factory=lambda: deque(maxlen=_WAITS))
    _written: deque[tuple[float, int]] = field(default_factory=deque)

    def waited(self, seconds: float) -> None:
        """Count a job's time of waiting."""
        self._waits.append(seconds)

    def first(self, seconds: float) -> None:
        """Count a job's time to its first token."""
        before = seconds if self.first_seconds is None else self.first_seconds
        self.first_seconds = before + _SMOOTHING * (seconds - before)

    def wrote(self, tokens: int, now: float) -> None:
        """Count tokens."""
        self.last_used = now
        self._written.append((now, tokens))
        self._forget(now)

    def rate(self, now: float) -> float:
        """Return the tokens written in a second, over the last ten."""
        self._forget(now)
        return sum(tokens for _, tokens in self._written) / _WINDOW_SECONDS

    def wait(self, quantile: float) -> float:
        """Return how long that part of the last jobs waited at most, in seconds; 0 before any."""
        waits = sorted(self._waits)
        return waits[min(len(waits) - 1, int(quantile * len(waits)))] if waits else 0.0

    def _forget(self, now: float) -> None:
        while self._written and self._written[0][0] <= now - _WINDOW_SECONDS:
            self._written.popleft()
