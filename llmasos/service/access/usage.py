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
    """The sums of one key; those of the day and the month begin anew with them.

    Args:
        now: The time in UTC.
    """

    now: Callable[[], datetime]
    _today: Tally = field(default_factory=Tally)
    _month: Tally = field(default_factory=Tally)
    total: Tally = field(default_factory=Tally)
    _day: str = ""

    @property
    def day(self) -> str:
        """Today's date."""
        day = self.now().isoformat()[:_DAY]
        if day[:_MONTH] != self._day[:_MONTH]:
            self._month = Tally()
        if day != self._day:
            self._today, self._day = Tally(), day
        return day

    @property
    def today(self) -> Tally:
        """The sum of today."""
        return self._today if self.day else Tally()

    @property
    def month(self) -> Tally:
        """The sum of this month."""
        return self._month if self.day else Tally()

    def add(self, tally: Tally, day: str = "") -> None:
        """Add what was used on a day, or now."""
        today = self.day
        self.total.add(tally)
        if (day or today)[:_MONTH] == today[:_MONTH]:
            self._month.add(tally)
        if (day or today) == today:
            self._today.add(tally)

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
