"""Usage: what models did for a key today, this month and in all, by UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from llmasos.api import KeyUsage

_DAY = len("2026-11-25")
_MONTH = len("2026-11")


@dataclass
class Tally:
    """A sum over calls."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """All tokens, read and written."""
        return self.input_tokens + self.output_tokens

    def add(self, other: Tally) -> None:
        """Add another sum."""
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost

    def shown(self) -> KeyUsage:
        """Return it as it is shown."""
        return KeyUsage(
            calls=self.calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost=round(self.cost, 6),
        )


@dataclass
class Usage:
    """The sums of one key, by days and months.

    Args:
        now: The time in UTC.
    """

    now: Callable[[], datetime]
    total: Tally = field(default_factory=Tally)
    # A clock that was set back comes to days again, which are not used anew.
    _spans: dict[str, Tally] = field(default_factory=dict)

    @property
    def day(self) -> str:
        """Today's date."""
        return self.now().isoformat()[:_DAY]

    @property
    def today(self) -> Tally:
        """The sum of today."""
        return self._span(self.day)

    @property
    def month(self) -> Tally:
        """The sum of this month."""
        return self._span(self.day[:_MONTH])

    def add(self, tally: Tally, day: str = "") -> None:
        """Add what was used on a day, or now."""
        day = day or self.day
        for sum_ in (self.total, self._span(day), self._span(day[:_MONTH])):
            sum_.add(tally)

    def _span(self, named: str) -> Tally:
        return self._spans.setdefault(named, Tally())

    def day_ends_in(self) -> float:
        """Return the seconds until the next day begins."""
        now = self.now()
        start = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return (start + timedelta(days=1) - now).total_seconds()

    def month_ends_in(self) -> float:
        """Return the seconds until the next month begins."""
        now = self.now()
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (first + timedelta(days=32)).replace(day=1)
        return (following - now).total_seconds()
