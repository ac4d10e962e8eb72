"""Metering: whoever asked is charged for what models read and write because of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Meter(Protocol):
    """Counts what models do for whoever asked."""

    async def admit(self) -> None:
        """Return when another call may begin.

        Raises:
            LLMasOSError: It may not.
        """

    async def spent(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Count a call."""


# What a request starts in the background inherits it, as it inherits who asked.
_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Have everything that models do meanwhile counted."""
    token = _meter.set(meter)
    try:
        yield
    finally:
        _meter.reset(token)


async def admit() -> None:
    """Return when whoever asked for what runs now may have another call; the machine's own user always may.

    Raises:
        LLMasOSError: The limits do not allow it.
    """
    if (meter := _meter.get()) is not None:
        await meter.admit()


async def charge(model: str, input_tokens: int, output_tokens: int) -> None:
    """Count a call for whoever asked for what runs now."""
    if (meter := _meter.get()) is not None:
        await meter.spent(model, input_tokens, output_tokens)
