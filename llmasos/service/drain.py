"""Draining: before a stop nothing new begins, and what runs may end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from llmasos.service.refusals import Draining

_POLL_SECONDS = 0.05


class Drain:
    """Counts the calls of models that are under way.

    Args:
        seconds: How long they may take to end once the kernel is to stop.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.draining = False
        self._running = 0
        self._hurried = anyio.Event()
        self._replying: set[anyio.CancelScope] = set()

    def begin(self) -> None:
        """Let nothing new begin."""
        self.draining = True

    def hurry(self) -> None:
        """Do not wait any longer."""
        self._hurried.set()

    @contextmanager
    def reply(self) -> Iterator[anyio.CancelScope]:
        """Have what makes a reply cancelled at the end of the draining; it then says why."""
        with anyio.CancelScope() as scope:
            self._replying.add(scope)
            try:
                yield scope
            finally:
                self._replying.discard(scope)

    def end(self) -> None:
        """Cancel the replies that are still being made."""
        for scope in list(self._replying):
            scope.cancel()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call meanwhile.

        Raises:
            Draining: The kernel is about to stop.
        """
        if self.draining:
            raise Draining(
                "The kernel is about to stop.", hint="Try again in a moment.", retry_after=self.seconds
            )
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def wait(self, turns: Callable[[], int] = lambda: 0) -> bool:
        """Return whether everything ended in time.

        Args:
            turns: How many turns run in the background.
        """
        with anyio.move_on_after(self.seconds):
            while self._running or turns():
                with anyio.move_on_after(_POLL_SECONDS):
                    await self._hurried.wait()
                    return False
            return True
        return False
