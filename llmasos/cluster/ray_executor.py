"""A Ray cluster as an executor."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any

import anyio
import anyio.to_thread

from llmasos.cluster._capacity import Held
from llmasos.cluster._head import Head, HeadLost
from llmasos.cluster._job import Job, Task
from llmasos.cluster._lanes import Lanes
from llmasos.cluster._pace import Pace
from llmasos.cluster._ray_worker import reason
from llmasos.cluster._seen import HeadSilent
from llmasos.cluster._task import Output, Reply, flush, loaded, run
from llmasos.cluster.executor import Executor, Outcome, Progress, Work
from llmasos.cluster.port import ClusterError, Share
from llmasos.cluster.ray import RayCluster, options

# Sending a task takes Ray about a millisecond.
_CHUNK_SECONDS = 0.05
# What is not idempotent is not known of a whole chunk when its worker dies.
_ONCE_SECONDS = 0.02
_CHUNK_TASKS = 128
_LARGE_FUNCTION = 1 << 16
_CANCEL_SECONDS = 5.0
_LOOK_SECONDS = 5.0
# A worker that can ends a late task itself; Ray may wait for a machine that fell silent for many minutes.
_SILENT_SECONDS = 30.0


class RayExecutor(RayCluster, Executor):
    """Runs tasks, and places workers, on a Ray cluster; as much is sent there as fits."""

    def __init__(self, address: str = "", *, cpus: int = 0) -> None:
        super().__init__(address, cpus=cpus)
        capacity = self._admission.capacity
        self._lanes = Lanes(
            self._admission.take, self._admission.give, self._lane, self._look, capacity.crowd
        )
        self._remotes: dict[Job, Any] = {}

    async def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        work: Work | None = None,
        watch: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Run a function over items and yield how each task ended."""
        ray = await self._joined()
        work = work or Work()
        # A task's time is watched on its worker, which has only one then.
        most = 1 if work.timeout else _CHUNK_TASKS
        pace = Pace(_CHUNK_SECONDS if work.idempotent else _ONCE_SECONDS, most)
        job = Job(function, items, work, watch, pace, ray.cloudpickle.dumps)
        chosen = await self._head.ask(options, ray, work.share)
        await self._head.ask(self._admission.look, ray)
        if not self._admission.possible(work.share):
            raise ClusterError(
                f"The cluster has no machine with {work.share} to give.",
                hint="Ask for less, or add machines.",
            )
        big = len(job.function) > _LARGE_FUNCTION
        sent = ray.put(job.function) if big else job.function
        remote = ray.remote(chunk).options(**chosen, max_retries=0, num_returns=2)
        self._remotes[job] = functools.partial(remote.remote, sent, work.inline, work.timeout)
        try:
            async with aclosing(self._lanes.outcomes(job)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            del self._remotes[job]

    async def close(self) -> None:
        """End every task and worker, and a private cluster with them."""
        with anyio.CancelScope(shield=True):
            await self._lanes.close()
            await super().close()

    async def _lane(self, job: Job, tasks: list[Task], held: Held) -> None:
        """Run tasks of a map in one place, until it has no more or others wait."""
        under_way: deque[tuple[list[Task], Any, Any, float]] = deque()
        try:
            while tasks or under_way:
                if tasks:
                    self._head.check()
                    replies, kept = self._remotes[job]([task.payload for task in tasks])
                    under_way.append((tasks, replies, kept, time.monotonic()))
                if tasks and len(under_way) < job.pace.ahead():
                    tasks = job.take()
                    continue
                await self._ended(job, *under_way[0])
                under_way.popleft()
                tasks = [] if self._lanes.others_wait(job) else job.take()
        finally:
            if under_way:
                with anyio.CancelScope(shield=True):
                    await self._cancel([replies for _, replies, _, _ in under_way])

    async def _ended(self, job: Job, tasks: list[Task], replies: Any, kept: Any, sent: float) -> None:
        """Take in how tasks that were sent together ended."""
        errors = self._ray.exceptions
        limit = None if job.work.timeout is None else job.work.timeout + _SILENT_SECONDS
        try:
            with anyio.fail_after(limit):
                where, answers = await self._head.wait(replies)
        except TimeoutError:
            await self._cancel([replies])
            for task in tasks:
                job.died(task, f"its worker was silent for {limit:g} s")
            return
        except errors.TaskUnschedulableError as error:
            for task in tasks:
                job.refused(task.index, _refused(job.work.share, error), task.tries)
            return
        except (errors.RayError, HeadLost) as error:
            late = job.work.timeout is not None and time.monotonic() - sent >= job.work.timeout
            why = f"its worker ended ({reason(error)})"
            for task in tasks:
                if late and isinstance(error, errors.WorkerCrashedError):
                    job.late(task)
                else:
                    job.died(task, why)
            return
        for task, answer in zip(tasks, answers, strict=True):
            reply = Reply(*answer)
            load = _Kept(self._ray, self._head, kept, int(reply.kept)) if reply.kept else None
            job.ended(task, reply, where, load)

    async def _cancel(self, references: list[Any]) -> None:
        ray = self._ray
        for reference in references:
            with contextlib.suppress(ray.exceptions.RayError, ValueError, TypeError):
                await self._head.ask(functools.partial(ray.cancel, reference, force=True))
        wait = functools.partial(
            ray.wait, references, num_returns=len(references), timeout=_CANCEL_SECONDS, fetch_local=False
        )
        await self._head.ask(wait)

    async def _look(self) -> None:
        """See which machines there are while something runs."""
        # A head that is silent for long is lost, which ends what runs.
        with contextlib.suppress(HeadSilent):
            await self._head.ask(self._admission.look, self._ray)


class _Kept:
    """A result in the cluster's object store, for as long as somebody can ask for it."""

    def __init__(self, ray: Any, head: Head, reference: Any, number: int) -> None:
        self._ray = ray
        self._head = head
        self._reference = reference
        self._number = number

    def __call__(self) -> Any:
        import pickle

        errors = self._ray.exceptions
        while True:
            try:
                self._head.check()
                return pickle.loads(self._ray.get(self._reference, timeout=_LOOK_SECONDS)[self._number])
            except errors.GetTimeoutError:
                continue
            except (errors.RayError, HeadLost) as error:
                raise ClusterError(
                    f"The result is gone: {reason(error)}.",
                    hint="Its machine ended. Run the task again if that does no harm.",
                ) from None


def _refused(share: Share, error: Exception) -> ClusterError:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return ClusterError(
        f"The cluster cannot run a task with {share}: {reason}.", hint="Ask for less, or add machines."
    )


def chunk(
    function: bytes, inline: int, timeout: float | None, payloads: list[bytes]
) -> tuple[tuple[str, list[tuple[Any, ...]]], list[bytes]]:
    """Run tasks on a worker of Ray's; return which one, how they ended, and large results apart.

    Args:
        function: The pickled function.
        inline: Bytes of a result that are returned at once.
        timeout: Seconds that each task may take.
        payloads: The pickled items.
    """
    answers: list[tuple[Any, ...]] = []
    large: list[bytes] = []
    with _captured() as output:
        call = _function(function)
        for payload in payloads:
            with _limited(timeout):
                reply = run(call, payload, output)
            if reply.size > inline and not reply.failed:
                reply.kept = str(len(large))
                large.append(reply.payload)
                reply.payload = b""
            answers.append((reply.failed, reply.payload, reply.output, reply.seconds, reply.kept, reply.size))
    return (_where(), answers), large


@functools.lru_cache(maxsize=4)
def _function(function: bytes) -> Any:
    return loaded(function)


@functools.cache
def _where() -> str:
    return f"process {os.getpid()} on {os.uname().nodename}"


@contextlib.contextmanager
def _captured() -> Any:
    """Have standard output and error go to a file of the task's."""
    output = Output(_file())
    before = [(number, os.dup(number)) for number in (1, 2)]
    for number, _ in before:
        os.dup2(output.file, number)
    try:
        yield output
    finally:
        flush()
        for number, copy in before:
            os.dup2(copy, number)
            os.close(copy)


@functools.cache
def _file() -> int:
    import fcntl

    file = os.memfd_create("output")
    fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
    return file


@contextlib.contextmanager
def _limited(timeout: float | None) -> Any:
    """End the process when time is up, whatever it does: this needs no lock of the interpreter's."""
    import faulthandler

    if timeout is None:
        yield
        return
    faulthandler.dump_traceback_later(timeout, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
