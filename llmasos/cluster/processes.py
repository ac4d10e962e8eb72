"""The executor of this machine: processes, one for each core."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio

from llmasos.cluster._capacity import Capacity, Held
from llmasos.cluster._hosted import HostedWorker
from llmasos.cluster._job import Job, Task
from llmasos.cluster._lanes import Lanes
from llmasos.cluster._pace import Pace
from llmasos.cluster._process import Process
from llmasos.cluster.executor import Executor, Outcome, Progress, Work
from llmasos.cluster.port import ClusterError, Share

_CHUNK_SECONDS = 0.01
_CHUNK_TASKS = 128
_NODES = ("", "local", "localhost", "127.0.0.1")


class ProcessExecutor(Executor):
    """Runs tasks in processes of this machine, which are started when there is something to do.

    Shares are bookkeeping: as much runs at once as fits, and nothing keeps a task to its share.

    Args:
        cpus: Cores to use; 0 is all that this process may use.
        gpus: GPUs to use; a task sees those that it holds.
        memory: Bytes to use; 0 is what the machine has.
        custom: What else tasks may ask for, such as `docker`, and how much of it there is.
    """

    def __init__(
        self, *, cpus: int = 0, gpus: int = 0, memory: int = 0, custom: Mapping[str, float] | None = None
    ) -> None:
        self.cpus = cpus or len(os.sched_getaffinity(0))
        memory = memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._gpus = gpus
        self._capacity = Capacity(self.cpus, gpus, memory)
        self._capacity.have(self.cpus, gpus, memory, custom or {})
        self._folder: Path | None = None
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._lanes = Lanes(
            self._capacity.take, self._capacity.give, self._lane, self._look, self._capacity.crowd
        )
        self._workers: set[HostedWorker] = set()

    async def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        work: Work | None = None,
        watch: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Run a function over items and yield how each task ended."""
        job = Job(function, items, work, watch, Pace(_CHUNK_SECONDS, _CHUNK_TASKS))
        self._check(job.work.share)
        async with aclosing(self._lanes.outcomes(job)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def place(
        self, make: Callable[..., Awaitable[Any]], *arguments: Any, share: Share | None = None
    ) -> HostedWorker:
        """Make an object in a process of its own.

        Raises:
            ClusterError: There is no place for it now.
            WorkerDied: The process ended before the object was made.
        """
        share = share or Share()
        self._check(share)
        held = self._capacity.take(share)
        if held is None:
            raise ClusterError(
                f"There is no place for a worker with {share} now.", hint="End others, or ask for less."
            )

        def ended() -> None:
            self._workers.discard(worker)
            self._give(held)

        try:
            worker = HostedWorker(self._visible(held), ended)
        except BaseException:
            self._give(held)
            raise
        self._workers.add(worker)
        try:
            await worker.make(make, arguments)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await worker.stop()
            raise
        return worker

    async def close(self) -> None:
        """End every task, worker and process, and remove results that lie in files."""
        with anyio.CancelScope(shield=True):
            await self._lanes.close()
            for worker in list(self._workers):
                await worker.stop()
            idle, self._idle = self._idle, []
            for process in idle:
                await self._end(process)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _check(self, share: Share) -> None:
        self._lanes.check()
        if share.node not in _NODES:
            raise ClusterError(
                f"There is no machine {share.node} here: this executor has only this one.",
                hint="Name none, or use a Ray cluster that it belongs to.",
            )
        if not self._capacity.possible(share):
            raise ClusterError(
                f"No machine has {share} to give.", hint="Ask for less, or say that the executor has it."
            )

    async def _lane(self, job: Job, tasks: list[Task], held: Held) -> None:
        """Run tasks of a map on one process, until it has no more or others wait."""
        process: Process | None = None
        try:
            process = await self._process(self._visible(held))
            while tasks:
                process.send(job, tasks)
                low = len(tasks) if job.pace.ahead() > 1 else 0
                if not await self._went_on(process, job, low):
                    return
                if self._lanes.others_wait(job):
                    break
                tasks = job.take()
            await self._went_on(process, job, 0)
        finally:
            if process is not None:
                self._busy.discard(process)
                many = len(self._idle) >= self.cpus
                if many or process.ended.is_set() or process.under_way or self._lanes.closed:
                    with anyio.CancelScope(shield=True):
                        await self._end(process)
                else:
                    self._idle.append(process)

    async def _went_on(self, process: Process, job: Job, low: int) -> bool:
        """Wait until a process has few tasks left, and take in its end."""
        if await process.wait(low, job.work.timeout):
            if not process.under_way or not process.ended.is_set():
                return True
            first = process.under_way.popleft()
            job.died(first, process.ending(), process.printed(), f"process {process.pid}")
        else:
            with anyio.CancelScope(shield=True):
                await process.end()
            if process.under_way:
                first = process.under_way.popleft()
                job.late(first, process.printed(), f"process {process.pid}")
        # The others have not begun.
        job.put_back(process.under_way)
        process.under_way.clear()
        return False

    async def _process(self, gpus: tuple[int, ...] | None) -> Process:
        for process in reversed(list(self._idle)):
            if process.ended.is_set():
                self._idle.remove(process)
                process.close()
            elif process.gpus == gpus:
                self._idle.remove(process)
                self._busy.add(process)
                return process
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="llmasos-tasks-"))
        if self._idle and len(self._idle) + len(self._busy) >= self.cpus:
            await self._end(self._idle.pop(0))
        process = Process(self._folder, gpus)
        self._busy.add(process)
        try:
            await process.begin()
        except BaseException:
            self._busy.discard(process)
            with anyio.CancelScope(shield=True):
                await self._end(process)
            raise
        return process

    async def _look(self) -> None:
        """See to it that what tasks print stays small while they run."""
        for process in self._busy:
            process.trim()

    async def _end(self, process: Process) -> None:
        await process.end()
        process.close()

    def _visible(self, held: Held) -> tuple[int, ...] | None:
        return held.gpus if self._gpus else None

    def _give(self, held: Held) -> None:
        self._capacity.give(held)
        self._lanes.dispatch()
