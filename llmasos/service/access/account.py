"""Accounts: a key that is in use, with its limits, what it has used and what runs for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import anyio

from llmasos.api import KeyInfo
from llmasos.service.access.bucket import Bucket
from llmasos.service.access.turned_away import TurnedAway
from llmasos.service.access.usage import Usage
from llmasos.service.refusals import LimitReached, QuotaReached

_MILLION = 1e6


def utc() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


class Account:
    """A key as the kernel holds it.

    Args:
        key: The key; its own sums are not used.
        digest: The SHA-256 of its secret in hexadecimal.
        dearest: The highest price of a million tokens, by which calls under way are estimated.
        clock: A monotonic clock in seconds.
        now: The time in UTC.
    """

    def __init__(
        self,
        key: KeyInfo,
        digest: str,
        *,
        dearest: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc,
    ) -> None:
        self.key = key
        self.digest = digest
        self.usage = Usage(now)
        self.reserved = 0
        self.running: set[anyio.CancelScope] = set()
        self.refusals = TurnedAway(clock)
        self.requests = _bucket(key.requests_per_minute, clock)
        self.tokens = _bucket(key.tokens_per_minute, clock)
        self._dearest = dearest
        self._now = now

    @property
    def ended(self) -> str:
        """Why the key is not valid any more; empty while it is."""
        if self.key.revoked:
            return "was revoked"
        return "has expired" if self.seconds_left() <= 0 else ""

    def seconds_left(self) -> float:
        """Return the seconds until the key expires; infinite without an end."""
        return (self.key.expires - self._now()).total_seconds() if self.key.expires else float("inf")

    def info(self) -> KeyInfo:
        """Return the key with what it has used."""
        usage = self.usage
        sums = {"today": usage.today.shown(), "month": usage.month.shown(), "total": usage.total.shown()}
        return self.key.model_copy(update=sums)

    def take_request(self) -> None:
        """Count a request.

        Raises:
            LimitReached: There were too many within a minute.
        """
        if self.requests is None:
            return
        if wait := self.requests.wait():
            raise LimitReached(
                f"The key {self.key.id} may make {self.requests.per_minute:,} requests a minute.",
                hint=f"Try again in {wait:.0f} s.",
                retry_after=wait,
            )
        self.requests.take(1)

    def check_tokens(self, own: int = 0) -> None:
        """Return when another call of a model may begin, those under way taken into account.

        Args:
            own: Tokens that are held for the call itself.

        Raises:
            QuotaReached: The day's tokens or the month's money are used up.
            LimitReached: The minute's tokens are.
        """
        key, usage, reserved = self.key, self.usage, self.reserved - own
        if key.tokens_per_day is not None and usage.today.tokens + reserved >= key.tokens_per_day:
            raise QuotaReached(
                f"The key {key.id} may use {key.tokens_per_day:,} tokens a day, and they are used up.",
                hint="The day ends at midnight UTC.",
                retry_after=usage.day_ends_in(),
            )
        under_way = reserved * self._dearest / _MILLION
        if key.budget is not None and usage.month.cost + under_way >= key.budget:
            raise QuotaReached(
                f"The key {key.id} may cost {key.budget:g} a month, and that is used up.",
                hint="The month ends at midnight UTC.",
                retry_after=usage.month_ends_in(),
            )
        if self.tokens is not None and (wait := self.tokens.wait(reserved + 1)):
            raise LimitReached(
                f"The key {key.id} may use {self.tokens.per_minute:,} tokens a minute.",
                hint=f"Try again in {wait:.0f} s.",
                retry_after=wait,
            )

    def limit_headers(self) -> dict[str, str]:
        """Return the headers in which OpenAI's API says what is left."""
        headers = {}
        for name, bucket in (("requests", self.requests), ("tokens", self.tokens)):
            if bucket is not None:
                headers[f"x-ratelimit-limit-{name}"] = str(bucket.per_minute)
                headers[f"x-ratelimit-remaining-{name}"] = str(max(0, int(bucket.level)))
                headers[f"x-ratelimit-reset-{name}"] = f"{bucket.full_in():.3f}s"
        return headers


def _bucket(per_minute: int | None, clock: Callable[[], float]) -> Bucket | None:
    return Bucket(per_minute, clock) if per_minute is not None else None
