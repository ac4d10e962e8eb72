"""An executor that is this process: for tests, with workers that die when they are told to."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any

import anyio.lowlevel

from llmasos.cluster._job import Job
from llmasos.cluster._pace import Pace
from llmasos.cluster._task import Output, loaded, run
from llmasos.cluster.executor import Executor, Outcome, Progress, Work
from llmasos.cluster.local import LocalCluster


class FakeExecutor(LocalCluster, Executor):
    """Runs tasks here, one after the other; what they print goes where this process prints.

    Args:
        deaths: How often the worker dies of the item with an index.
    """

    def __init__(self, deaths: Mapping[int, int] | None = None) -> None:
        super().__init__()
        self.begun: list[int] = []
        self._deaths = dict(deaths or {})

    async def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        work: Work | None = None,
        watch: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Run a function over items and yield how each task ended."""
        job = Job(function, items, work, watch, Pace(0.0, 1))
        job.wake = lambda: self._step(job)
        async for outcome in job.outcomes():
            yield outcome
            await anyio.lowlevel.checkpoint()

    def _step(self, job: Job) -> None:
        for task in job.take():
            self.begun.append(task.index)
            if self._deaths.get(task.index, 0) > 0:
                self._deaths[task.index] -= 1
                job.died(task, "its worker was told to die")
                # It may run again.
                self._step(job)
            else:
                file = os.memfd_create("output")
                job.ended(task, run(loaded(job.function), task.payload, Output(file)), "this process")
                os.close(file)
