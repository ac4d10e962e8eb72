"""Maps that run side by side: what is free is given out in turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio

from llmasos.cluster._capacity import Held
from llmasos.cluster._job import Job, Task
from llmasos.cluster.executor import Outcome
from llmasos.cluster.port import ClusterError, Share


class Lanes:
    """Has each map run in as many places at once as there are, a turn for each map.

    Args:
        take: Returns what a place holds of the machines, or None while there is none.
        give: Gives it back.
        run: Runs tasks of a map in one place, and more of it as long as no other map is kept waiting.
    """

    def __init__(
        self,
        take: Callable[[Share], Held | None],
        give: Callable[[Held], None],
        run: Callable[[Job, list[Task], Held], Coroutine[Any, Any, None]],
    ) -> None:
        self._take = take
        self._give = give
        self._run = run
        self._jobs: deque[Job] = deque()
        self._lanes: dict[asyncio.Task[None], Job] = {}
        self.closed = False

    @property
    def busy(self) -> bool:
        """Whether there are maps."""
        return bool(self._jobs)

    async def outcomes(self, job: Job) -> AsyncGenerator[Outcome]:
        """Run a map and yield how its tasks end; what still runs when this is closed is ended.

        Raises:
            ClusterError: The executor was closed.
        """
        self.check()
        job.wake = self.dispatch
        self._jobs.append(job)
        try:
            async with aclosing(job.outcomes()) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            self._jobs.remove(job)
            await _stopped([lane for lane, of in self._lanes.items() if of is job])

    def dispatch(self) -> None:
        """Start what fits."""
        if self.closed:
            return
        for _ in range(len(self._jobs)):
            job = self._jobs[0]
            self._jobs.rotate(-1)
            while job.waits() and (held := self._take(job.work.share)) is not None:
                if not (tasks := job.take()):
                    self._give(held)
                    break
                lane = asyncio.ensure_future(self._run(job, tasks, held))
                self._lanes[lane] = job
                # Also one that is ended before it begins gives back what it holds.
                lane.add_done_callback(partial(self._ended, held))
                if len(self._jobs) > 1:
                    break

    def check(self) -> None:
        """Raise that the executor was closed, if it was."""
        if self.closed:
            raise _closed()

    def others_wait(self, job: Job) -> bool:
        """Whether another map waits for a place."""
        return any(other.waits() for other in self._jobs if other is not job)

    async def close(self) -> None:
        """End every map."""
        self.closed = True
        for job in self._jobs:
            job.fail(_closed())
        await _stopped(list(self._lanes))

    def _ended(self, held: Held, lane: asyncio.Task[None]) -> None:
        del self._lanes[lane]
        self._give(held)
        self.dispatch()


async def _stopped(lanes: list[asyncio.Task[Any]]) -> None:
    for lane in lanes:
        lane.cancel()
    if lanes:
        with anyio.CancelScope(shield=True):
            await asyncio.wait(lanes)


def _closed() -> ClusterError:
    return ClusterError("The executor was closed.", hint="Make another one.")
