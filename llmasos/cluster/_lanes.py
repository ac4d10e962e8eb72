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

_LOOK_SECONDS = 1.0


class Lanes:
    """Has each map run in as many places at once as there are, a turn for each map.

    Args:
        take: Returns what a place holds of the machines, or None while there is none.
        give: Gives it back.
        run: Runs tasks of a map in one place, and more of it as long as no other map is kept waiting.
        look: Looks after what runs, every second.
        most: Returns in how many places a map runs at most, though it takes next to nothing of them.
    """

    def __init__(
        self,
        take: Callable[[Share], Held | None],
        give: Callable[[Held], None],
        run: Callable[[Job, list[Task], Held], Coroutine[Any, Any, None]],
        look: Callable[[], Coroutine[Any, Any, None]],
        most: Callable[[], float],
    ) -> None:
        self._take = take
        self._give = give
        self._run = run
        self._look = look
        self._most = most
        self._looking: asyncio.Task[None] | None = None
        self._jobs: deque[Job] = deque()
        self._lanes: dict[asyncio.Task[None], Job] = {}
        self.closed = False

    async def outcomes(self, job: Job) -> AsyncGenerator[Outcome]:
        """Run a map and yield how its tasks end; what still runs when this is closed is ended.

        Raises:
            ClusterError: The executor was closed.
        """
        self.check()
        job.wake = self.dispatch
        self._jobs.append(job)
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look_after())
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
            while (
                job.waits() and job.lanes < self._most() and (held := self._take(job.work.share)) is not None
            ):
                if not (tasks := job.take()):
                    self._give(held)
                    break
                lane = asyncio.ensure_future(self._lane(job, tasks, held))
                job.lanes += 1
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
        if self._looking is not None:
            self._looking.cancel()
        await _stopped(list(self._lanes))

    async def _lane(self, job: Job, tasks: list[Task], held: Held) -> None:
        try:
            await self._run(job, tasks, held)
        except Exception as error:
            job.fail(_failed(error))

    async def _look_after(self) -> None:
        try:
            while self._jobs:
                await asyncio.sleep(_LOOK_SECONDS)
                await self._look()
                self.dispatch()
        except Exception as error:
            for job in self._jobs:
                job.fail(_failed(error))
        finally:
            self._looking = None

    def _ended(self, held: Held, lane: asyncio.Task[None]) -> None:
        self._lanes.pop(lane).lanes -= 1
        self._give(held)
        self.dispatch()


async def _stopped(lanes: list[asyncio.Task[Any]]) -> None:
    for lane in lanes:
        lane.cancel()
    if lanes:
        with anyio.CancelScope(shield=True):
            await asyncio.wait(lanes)


def _failed(error: Exception) -> ClusterError:
    if isinstance(error, ClusterError):
        return error
    failure = ClusterError(
        f"The map cannot go on: {type(error).__name__}: {error}.",
        hint="See to what is missing, such as files that may be open or a machine, and begin again.",
    )
    failure.__cause__ = error
    return failure


def _closed() -> ClusterError:
    return ClusterError("The executor was closed.", hint="Make another one.")
