"""One job of the scheduler: who asked, what its engine does, and where it stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import anyio

from llmasos.errors import ModelError
from llmasos.models.engines.port import Chunk, Engine
from llmasos.models.scheduler.reply import Reply
from llmasos.models.scheduler.types import Job
from llmasos.models.scheduler.work import Work

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket(Generic[T]):
    """A job on its way.

    Args:
        job: What the scheduler knows of it.
        work: What its engine does.
        reply: What its reader gets.
        submitted: When it arrived; here and below as the scheduler's clock says.
        started: When it was first given to its engine.
        first: When its first item came.
        engine: What works for it.
        scope: What that runs in, while it does.
        idle: Set when it does not run any more.
        leaving: Why that is being stopped.
        stalled: Whether its reader does not keep up.
        over: Set when nothing happens for it any more.
    """

    job: Job
    work: Work[T]
    reply: Reply[T]
    submitted: float
    started: float | None = None
    first: float | None = None
    engine: Engine | None = None
    scope: anyio.CancelScope | None = None
    idle: anyio.Event = field(default_factory=anyio.Event)
    leaving: Literal["", "preempt", "stop", "died"] = ""
    stalled: bool = False
    over: anyio.Event = field(default_factory=anyio.Event)

    def stop(self, why: Literal["preempt", "stop", "died"]) -> None:
        """Stop its engine's work, if there is any; a job that ends does not wait again."""
        if self.leaving in ("", "preempt"):
            self.leaving = why
        if self.scope is not None:
            self.scope.cancel()


async def carry_out(
    ticket: Ticket[T],
    engine: Engine,
    produced: Callable[[int], None],
    stalled: Callable[[], None],
) -> Exception | None:
    """Have the engine do a ticket's work, until it is done, fails, or the ticket's scope is cancelled.

    Args:
        ticket: What is done; its scope is set.
        engine: What does it.
        produced: Told how many tokens came.
        stalled: Called when the reader does not keep up.

    Returns:
        What it failed with; None where it is done, or was stopped.
    """
    assert ticket.scope is not None
    try:
        with ticket.scope:
            items = ticket.work.run(engine)
            try:
                async for item in items:
                    ticket.reply.put(item)
                    produced(_tokens(item))
                    if ticket.reply.full and ticket.work.resumable(engine):
                        stalled()
                        await ticket.reply.room()
            finally:
                with anyio.CancelScope(shield=True):
                    await items.aclose()
    except ModelError as error:
        return error
    except Exception as error:
        _log.exception("the engine of %s failed", ticket.job.model)
        return ModelError(
            f"The engine of {ticket.job.model} failed: {type(error).__name__}: {error}.", hint="Try again."
        )
    return None


def _tokens(item: object) -> int:
    if isinstance(item, Chunk):
        return len(item.tokens) or bool(item.text)
    return 0
