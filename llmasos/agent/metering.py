"""Metering: whoever asked is charged for what models read and write because of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import anyio

from llmasos.events import Usage
from llmasos.models.engines.port import TokenUsage
from llmasos.models.scheduler.types import Refused


class Meter(Protocol):
    """Counts what models do for whoever asked."""

    async def admit(self) -> None:
        """Return when another call may begin.

        Raises:
            LLMasOSError: It may not.
        """

    async def spent(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Count a call."""


class Used:
    """What engines did for a call, as they tell it, so that it can be charged without an end."""

    def __init__(self) -> None:
        self.input = 0
        self.output = 0

    def add(self, usage: TokenUsage) -> None:
        """Count what an engine did."""
        self.input += usage.input
        self.output += usage.output

    def since(self, before: TokenUsage) -> TokenUsage | None:
        """Return what was done since a time; None where no engine had begun."""
        usage = TokenUsage(input=self.input - before.input, output=self.output - before.output)
        return usage if usage.input or usage.output else None

    def at_least(self, usage: Usage) -> Usage:
        """Return what was used, with what engines did for replies that were no use to anybody."""
        if self.output <= usage.output_tokens:
            return usage
        counted = {"input_tokens": max(self.input, usage.input_tokens), "output_tokens": self.output}
        return usage.model_copy(update=counted)

    def now(self) -> TokenUsage:
        """Return all that was done."""
        return TokenUsage(input=self.input, output=self.output)


def given_up(error: BaseException) -> bool:
    """Return whether a call ended because whoever asked did not wait for its end."""
    return isinstance(error, anyio.get_cancelled_exc_class() | GeneratorExit)


def cut_off(error: BaseException) -> bool:
    """Return the same of a call that engines began: those are refused only when their time is over."""
    return given_up(error) or isinstance(error, Refused)


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
