"""A worker of Ray's: an object in a process of its own, on one of the cluster's machines."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio

from llmasos.cluster.port import ClusterError, WorkerDied

_STOP_SECONDS = 10.0


class RayWorker:
    """An object in a process of Ray's."""

    def __init__(self, actor: Any, ray: Any, on_stop: Callable[[bool], None] = lambda _: None) -> None:
        self.pid = 0
        self._on_stop: Callable[[bool], None] | None = on_stop
        self._dead = False
        self._actor = actor
        self._ray = ray
        self._numbers = itertools.count()

    async def make(self, make: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> None:
        """Make the object.

        Raises:
            WorkerDied: The worker ended.
        """
        self.pid = await self._answer(self._actor.make.remote(make, arguments))

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call an asynchronous method."""
        number = next(self._numbers)
        try:
            return await self._answer(self._actor.call.remote(number, method, arguments))
        except anyio.get_cancelled_exc_class():
            await self._abandon(number)
            raise

    async def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any]:
        """Yield what an asynchronous generator method yields."""
        number = next(self._numbers)
        options = self._actor.stream.options(num_returns="streaming")
        answers = options.remote(number, method, arguments)
        ended = False
        try:
            while True:
                try:
                    reference = await anext(answers)
                except StopAsyncIteration:
                    ended = True
                    return
                except self._ray.exceptions.RayError as error:
                    ended = self._dead = True
                    raise died(error) from None
                yield await self._answer(reference)
        finally:
            if not ended:
                await self._abandon(number)

    async def died(self) -> str:
        """Wait until the process has ended."""
        try:
            await self._actor.wait.remote()
        except self._ray.exceptions.RayError as error:
            self._dead = True
            return _reason(error)
        return "it ended"

    async def stop(self) -> None:
        """End the process."""
        died_before = self._dead
        self._ray.kill(self._actor)
        with anyio.move_on_after(_STOP_SECONDS, shield=True):
            await self.died()
        if self._on_stop is not None:
            self._on_stop(died_before)
            self._on_stop = None

    async def _answer(self, reference: Any) -> Any:
        try:
            value, failure = await reference
        except self._ray.exceptions.RayError as error:
            self._dead = True
            raise died(error) from None
        if failure is not None:
            raise failure.error()
        return value

    async def _abandon(self, number: int) -> None:
        with anyio.move_on_after(_STOP_SECONDS, shield=True), contextlib.suppress(ClusterError):
            try:
                await self._actor.stop.remote(number)
            except self._ray.exceptions.RayError as error:
                raise died(error) from None


def died(error: Exception) -> WorkerDied:
    """Return how a worker's end is told."""
    return WorkerDied(f"The worker ended: {_reason(error)}.", hint="Try again.")


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
