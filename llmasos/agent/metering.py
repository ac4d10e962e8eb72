"""Metering: whoever asked is charged for what models read and write because of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Meter = Callable[[str, int, int], Awaitable[None]]
"""Charges a call: the model, the tokens that it read, the tokens that it wrote."""

# What a request starts in the background inherits it, as it inherits who asked.
_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Have everything that models do meanwhile charged."""
    token = _meter.set(meter)
    try:
        yield
    finally:
        _meter.reset(token)


async def charge(model: str, input_tokens: int, output_tokens: int) -> None:
    """Charge a call to whoever asked for what runs now; the machine's own user is charged nothing."""
    meter = _meter.get()
    if meter is not None:
        await meter(model, input_tokens, output_tokens)
