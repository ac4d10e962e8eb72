"""A worker of Ray's: an object in a process of its own, on one of the cluster's machines."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import anyio

from llmasos.cluster._head import Head, HeadLost
from llmasos.cluster.port import ClusterError, WorkerDied

_STOP_SECONDS = 10.0
_ENDED = "The worker ended: "


class RayWorker:
    """An object in a process of Ray's."""

    def __init__(
        self, actor: Any, ray: Any, head: Head, on_stop: Callable[[bool], None] = lambda _: None
    ) -> None:
        self.pid = 0
        self._head = head
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
        self.pid = await self._answer("make", make, arguments)

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call an asynchronous method."""
        number = next(self._numbers)
        try:
            return await self._answer("call", number, method, arguments)
        except anyio.get_cancelled_exc_class():
            await self._abandon(number)
            raise

    async def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any]:
        """Yield what an asynchronous generator method yields."""
        number = next(self._numbers)
        options = self._actor.stream.options(num_returns="streaming")
        with self._alive():
            self._head.check()
            answers = options.remote(number, method, arguments)
        ended = False
        try:
            while True:
                try:
                    with self._alive():
                        reference = await self._head.wait(anext(answers))
                except StopAsyncIteration:
                    ended = True
                    return
                except WorkerDied:
                    ended = True
                    raise
                yield await self._value(reference)
        finally:
            if not ended:
                await self._abandon(number)

    async def died(self) -> str:
        """Wait until the process has ended."""
        try:
            with self._alive():
                await self._asked("wait")
        except WorkerDied as error:
            return error.message.removeprefix(_ENDED).rstrip(".")
        return "it ended"

    async def stop(self) -> None:
        """End the process."""
        died_before = self._dead
        with contextlib.suppress(WorkerDied), self._alive():
            await self._head.ask(self._ray.kill, self._actor)
        with anyio.move_on_after(_STOP_SECONDS, shield=True):
            await self.died()
        if self._on_stop is not None:
            self._on_stop(died_before)
            self._on_stop = None

    async def _answer(self, method: str, *arguments: Any) -> Any:
        with self._alive():
            value, failure = await self._asked(method, *arguments)
        return _result(value, failure)

    async def _value(self, reference: Any) -> Any:
        with self._alive():
            value, failure = await self._head.wait(reference)
        return _result(value, failure)

    async def _asked(self, method: str, *arguments: Any) -> Any:
        self._head.check()
        return await self._head.wait(getattr(self._actor, method).remote(*arguments))

    async def _abandon(self, number: int) -> None:
        with contextlib.suppress(ClusterError), self._alive():
            with anyio.move_on_after(_STOP_SECONDS, shield=True):
                await self._asked("stop", number)

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        """Have what Ray says of a worker's end, and the end of the cluster, be the worker's end."""
        try:
            yield
        except (self._ray.exceptions.RayError, HeadLost) as error:
            self._dead = True
            raise died(error) from None


def _result(value: Any, failure: Any) -> Any:
    if failure is not None:
        raise failure.error()
    return value


def died(error: Exception) -> WorkerDied:
    """Return how a worker's end is told."""
    return WorkerDied(f"{_ENDED}{reason(error)}.", hint="Try again.")


def reason(error: Exception) -> str:
    """Return why something of the cluster's ended."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
