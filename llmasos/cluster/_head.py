"""The head of a Ray cluster: nobody waits for anything of one that has ended, which Ray would do for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from llmasos.cluster.addresses import unreachable
from llmasos.cluster.port import ClusterError

T = TypeVar("T")

_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 20.0


class HeadLost(ClusterError):
    """The head of the cluster has ended, or cannot be reached any more."""


class Head:
    """Ends what waits for a cluster once its head has not answered for a while, and whatever would begin to.

    It is not looked for again: what answers at its address then is another cluster's, which has to be joined.

    Args:
        patience: Seconds without an answer after which it is lost.
        reach: Returns why nothing answers at an address; empty while something does.
    """

    def __init__(
        self, patience: float = _PATIENCE_SECONDS, reach: Callable[[str], str] = unreachable
    ) -> None:
        self.lost = ""
        self._patience = patience
        self._reach = reach
        self._address = ""
        self._waiting: set[anyio.CancelScope] = set()
        self._watching: asyncio.Task[None] | None = None

    def watch(self, address: str) -> None:
        """Look for the head every other second, until it is lost or left.

        Args:
            address: Where it listens.
        """
        self._address = address
        self._watching = asyncio.ensure_future(self._watch())

    def leave(self) -> None:
        """Look for the head no more."""
        if self._watching is not None:
            self._watching.cancel()

    def check(self) -> None:
        """Raise that the head is lost, if it is.

        Raises:
            HeadLost: It is.
        """
        if self.lost:
            raise HeadLost(
                f"The Ray cluster has ended: {self.lost}.",
                hint="See to it that it runs, and begin again.",
            )

    async def wait(self, awaited: Awaitable[T]) -> T:
        """Wait for something of the cluster.

        Raises:
            HeadLost: The head is lost, or gets lost meanwhile.
        """
        self.check()
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                return await awaited
            finally:
                self._waiting.discard(scope)
        self.check()
        raise AssertionError("only one that is lost cancels what waits")

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """Ask Ray something that blocks, once the head answers: Ray would ask whoever listens there next.

        Raises:
            HeadLost: As `wait`.
        """
        self.check()
        return await self.wait(self._answer(partial(question, *arguments)))

    async def _answer(self, question: Callable[[], T]) -> T:
        while self._address and await self._look():
            await anyio.sleep(_LOOK_SECONDS)
        return await anyio.to_thread.run_sync(question, abandon_on_cancel=True)

    async def _watch(self) -> None:
        answered = time.monotonic()
        while not self.lost:
            await anyio.sleep(min(_LOOK_SECONDS, self._patience))
            if not (reason := await self._look()):
                answered = time.monotonic()
            elif time.monotonic() - answered >= self._patience:
                self.lost = reason
        for scope in self._waiting:
            scope.cancel()

    async def _look(self) -> str:
        reason = await anyio.to_thread.run_sync(self._reach, self._address, abandon_on_cancel=True)
        return f"{self._address} does not answer ({reason})" if reason else ""
