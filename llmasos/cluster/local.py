"""A cluster that is this process: what a machine without one uses, and tests."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio

from llmasos.cluster._host import Host
from llmasos.cluster.port import Share, WorkerDied


class LocalWorker:
    """An object of this process that can be ended as a process can."""

    def __init__(self, host: Host) -> None:
        self.pid = os.getpid()
        self._host = host
        self._numbers = itertools.count()
        self._reason = ""
        self._died = anyio.Event()

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call an asynchronous method."""
        self._check()
        value, failure = await self._host.call(next(self._numbers), method, arguments)
        self._check()
        if failure is not None:
            raise failure.error()
        return value

    async def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any]:
        """Yield what an asynchronous generator method yields."""
        self._check()
        async with aclosing(self._host.stream(next(self._numbers), method, arguments)) as answers:
            async for value, failure in answers:
                self._check()
                if failure is not None:
                    raise failure.error()
                yield value
        self._check()

    async def died(self) -> str:
        """Wait until the worker was ended."""
        await self._died.wait()
        return self._reason

    async def stop(self) -> None:
        """End the worker."""
        await self.kill("it was stopped")

    async def kill(self, reason: str = "it was killed") -> None:
        """End the worker, and with it what it does."""
        if not self._died.is_set():
            self._reason = reason
            self._died.set()
            await self._host.stop_all()

    def _check(self) -> None:
        if self._died.is_set():
            raise WorkerDied(f"The worker ended: {self._reason}.", hint="Try again.")


class LocalCluster:
    """Places workers in this process."""

    def __init__(self) -> None:
        self.workers: list[LocalWorker] = []

    async def place(
        self, make: Callable[..., Awaitable[Any]], *arguments: Any, share: Share | None = None
    ) -> LocalWorker:
        """Make an object here; there is always a place."""
        host = Host()
        _, failure = await host.make(make, arguments)
        if failure is not None:
            raise failure.error()
        worker = LocalWorker(host)
        self.workers.append(worker)
        return worker

    async def close(self) -> None:
        """End every worker."""
        workers, self.workers = self.workers, []
        for worker in workers:
            await worker.stop()
