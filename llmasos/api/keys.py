"""Keys of other programs on the wire: what they may do, and what they have used."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from llmasos.api.wire import Wire

KeyScope = Literal["models", "agent", "approve", "admin"]
"""What a key opens: models; sessions and turns; a person's decisions in them; everything."""


class KeyRequest(Wire):
    """A new key for another program; what is None has no limit.

    Args:
        name: What it is for.
        scopes: What it opens.
        models: Models that it may ask, as globs; none means all.
        requests_per_minute: Requests of any kind.
        tokens_per_minute: Tokens that models read and write for it.
        tokens_per_day: The same in a day of UTC.
        budget: What models may cost in a month of UTC, by the prices of the settings.
        expires_days: Days until it ends.
        priority: The highest priority that it may ask for.
    """

    name: str = Field(min_length=1, max_length=100)
    scopes: tuple[KeyScope, ...] = Field(("models",), min_length=1)
    models: tuple[str, ...] = ()
    requests_per_minute: int | None = Field(None, ge=1, le=10**9)
    tokens_per_minute: int | None = Field(None, ge=1, le=10**12)
    tokens_per_day: int | None = Field(None, ge=1, le=10**12)
    budget: float | None = Field(None, gt=0, le=10**12, allow_inf_nan=False)
    expires_days: float | None = Field(None, gt=0, le=36_500)
    priority: Literal["interactive", "normal", "batch"] = "normal"


class KeyUsage(Wire):
    """What models did for a key; `cost` is in the currency of the prices."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class KeyInfo(Wire):
    """A key without its secret; times are in UTC."""

    id: str
    name: str
    scopes: tuple[KeyScope, ...]
    models: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    budget: float | None = None
    priority: Literal["interactive", "normal", "batch"] = "normal"
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    today: KeyUsage = KeyUsage()
    month: KeyUsage = KeyUsage()
    total: KeyUsage = KeyUsage()


class KeyCreated(Wire):
    """A new key with its secret, which nobody can show again."""

    key: KeyInfo
    secret: str
