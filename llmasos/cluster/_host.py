"""What runs on a worker: the object, its calls, and its streams, each in a task that can be stopped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio

from llmasos.cluster._failure import Failure
from llmasos.cluster.port import ClusterError

_BUFFER = 64


class Host:
    """Holds one object; every answer is `(value, None)` or `(None, failure)`."""

    def __init__(self) -> None:
        self._object: Any = None
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._stopped: set[int] = set()

    async def make(self, make: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> Any:
        """Make the object and answer with this process's id."""
        try:
            self._object = await make(*arguments)
        except Exception as error:
            return None, Failure.of(error)
        return os.getpid(), None

    async def call(self, number: int, method: str, arguments: tuple[Any, ...]) -> Any:
        """Answer with what a method returns."""
        task = asyncio.ensure_future(getattr(self._object, method)(*arguments))
        self._begin(number, task)
        try:
            await asyncio.wait({task})
            if task.cancelled():
                return None, Failure.of(ClusterError("The call was stopped."))
            error = task.exception()
            if error is None:
                return task.result(), None
            return None, Failure.of(error if isinstance(error, Exception) else ClusterError(repr(error)))
        finally:
            await self._end(number, task)

    async def stream(self, number: int, method: str, arguments: tuple[Any, ...]) -> AsyncGenerator[Any]:
        """Answer with each thing that a method yields."""
        answers: asyncio.Queue[Any] = asyncio.Queue()
        room = asyncio.Semaphore(_BUFFER)
        task = asyncio.ensure_future(self._pump(answers, room, method, arguments))
        task.add_done_callback(lambda _: answers.put_nowait(None))
        self._begin(number, task)
        try:
            while (answer := await answers.get()) is not None:
                room.release()
                yield answer
        finally:
            await self._end(number, task)

    async def stop(self, number: int) -> None:
        """Stop a call or stream, and return when it has ended."""
        self._stopped.add(number)
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def stop_all(self) -> None:
        """Stop all calls and streams."""
        for number in list(self._tasks):
            await self.stop(number)

    async def wait(self) -> None:
        """Never answer: who waits for it learns of this process's end."""
        await asyncio.Event().wait()

    async def _pump(
        self, answers: asyncio.Queue[Any], room: asyncio.Semaphore, method: str, arguments: tuple[Any, ...]
    ) -> None:
        try:
            async with aclosing(getattr(self._object, method)(*arguments)) as values:
                async for value in values:
                    await room.acquire()
                    answers.put_nowait((value, None))
        except Exception as error:
            answers.put_nowait((None, Failure.of(error)))

    def _begin(self, number: int, task: asyncio.Task[Any]) -> None:
        self._tasks[number] = task
        # It may be stopped before it begins.
        if number in self._stopped:
            task.cancel()

    async def _end(self, number: int, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(number, None)
        self._stopped.discard(number)
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})
