"""Workers placed on a cluster, in which clients run: one that dies, hangs or is cut off takes none along."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal

from llmasos.cluster import Cluster, ClusterError, Share, Worker
from llmasos.federated.local.grid import Job
from llmasos.federated.local.workers import Answer
from llmasos.federated.port import FederatedError
from llmasos.federated.ray.member import member
from llmasos.federated.ray.parcel import Client, Parcel, parcels
from llmasos.federated.ray.store import Kept, Store

_PLACE_SECONDS = 150.0
_STOP_SECONDS = 10.0
_WATCH_SECONDS = 2.0


@dataclass(frozen=True)
class _Placed:
    worker: Worker
    death: asyncio.Future[str]


class ClusterCrew:
    """Workers with a core each, placed when they are first needed; what they do is as on this machine.

    Args:
        cluster: Where they are placed.
        portal: The event loop that the cluster is used in.
        store: Keeps what all of them need.
        client: Whom a node's messages are for.
        deal: Where the rows of all clients are; None where each has a data set of its own.
        count: How many there are at most.
        make: Makes what answers on a worker, where the rows are.
        unreachable: Returns why the cluster cannot be reached any more; empty while it can.
    """

    def __init__(
        self,
        cluster: Cluster,
        portal: BlockingPortal,
        store: Store,
        client: Callable[[int], Client],
        *,
        deal: Kept | None,
        count: int,
        make: Callable[[Kept | None], Awaitable[Any]] = member,
        unreachable: Callable[[], str] = str,
    ) -> None:
        self._cluster = cluster
        self._portal = portal
        self._store = store
        self._client = client
        self._deal = deal
        self._count = count
        self._make = make
        self._unreachable = unreachable
        self.lost = ""
        self._free: asyncio.Queue[_Placed | ClusterError] = asyncio.Queue()
        self._coming: set[asyncio.Future[None]] = set()
        # Workers that are there or come, and failures that nobody has been told.
        self._due = 0

    def run(self, jobs: Sequence[Job], seconds: float) -> Generator[tuple[int, Answer]]:
        """Yield each job's place and answer.

        Raises:
            FederatedError: No worker can be placed, or the cluster has ended.
        """
        clients = [self._client(job.message.metadata.dst_node_id) for job in jobs]
        sent = parcels(jobs, clients, self._store)
        future = self._portal.start_task_soon(self._answers, sent, seconds)
        try:
            answers = future.result()
        except BaseException:
            future.cancel()
            raise
        yield from enumerate(answers)

    def close(self) -> None:
        """End the workers; those of a cluster that has ended have ended, too."""
        if not self.lost:
            self._portal.call(self._end)

    async def _answers(self, sent: Sequence[Parcel], seconds: float) -> list[Answer]:
        waiting, answers = deque(range(len(sent))), dict[int, Answer]()
        reasons: list[str] = []
        seats = min(self._count, len(sent))

        async def seat() -> None:
            while waiting:
                self._fill(seats - len(reasons))
                try:
                    placed = await self._taken()
                except ClusterError as error:
                    reasons.append(error.message)
                    return
                if placed.death.done():
                    # With nothing to do: another one is asked.
                    await self._stop(placed)
                    continue
                if not waiting:
                    self._free.put_nowait(placed)
                    return
                place = waiting.popleft()
                answers[place] = await self._asked(placed, sent[place], seconds)
            if len(answers) == len(sent):
                # The other seats only wait for workers.
                group.cancel_scope.cancel()

        self._forget_failures()
        async with anyio.create_task_group() as watched:
            watched.start_soon(self._watch, watched.cancel_scope)
            async with anyio.create_task_group() as group:
                for _ in range(seats):
                    group.start_soon(seat)
            watched.cancel_scope.cancel()
        if self.lost:
            raise FederatedError(
                f"The cluster has ended: {self.lost}.",
                hint="Go on where it was: llmasos federated resume RUN",
            )
        if sent and not answers:
            raise FederatedError(
                f"No client can run on the cluster: {reasons[0]}",
                hint="See what is free there with: llmasos cluster status",
            )
        missed = Answer(failure=f"there was no place for it: {reasons[0]}" if reasons else "")
        return [answers.get(place, missed) for place in range(len(sent))]

    async def _watch(self, scope: anyio.CancelScope) -> None:
        while not self.lost:
            await anyio.sleep(_WATCH_SECONDS)
            self.lost = await anyio.to_thread.run_sync(self._unreachable)
        scope.cancel()

    def _fill(self, wanted: int) -> None:
        """Have so many workers, or have them come; one that is late is of use to the next round."""
        while self._due < wanted:
            self._due += 1
            coming = asyncio.ensure_future(self._place())
            self._coming.add(coming)
            coming.add_done_callback(self._coming.discard)

    async def _place(self) -> None:
        try:
            with anyio.fail_after(_PLACE_SECONDS):
                worker = await self._cluster.place(self._make, self._deal, share=Share(cpus=1))
        except TimeoutError:
            self._free.put_nowait(ClusterError(f"No worker was ready after {_PLACE_SECONDS:g} seconds."))
        except ClusterError as error:
            self._free.put_nowait(error)
        except Exception as error:  # on another machine anything may be missing
            told = f"A worker cannot begin: {type(error).__name__}: {error}"
            self._free.put_nowait(ClusterError(told))
        else:
            self._free.put_nowait(_Placed(worker, asyncio.ensure_future(worker.died())))

    async def _taken(self) -> _Placed:
        """Return the next worker that has nothing to do.

        Raises:
            ClusterError: There is no place for one.
        """
        placed = await self._free.get()
        if isinstance(placed, ClusterError):
            self._due -= 1
            raise placed
        return placed

    def _forget_failures(self) -> None:
        """Drop what failed after the last messages had been answered."""
        for _ in range(self._free.qsize()):
            if isinstance(placed := self._free.get_nowait(), _Placed):
                self._free.put_nowait(placed)
            else:
                self._due -= 1

    async def _asked(self, placed: _Placed, parcel: Parcel, seconds: float) -> Answer:
        call = asyncio.ensure_future(placed.worker.call("answer", parcel))
        # What nobody waits for any more is nobody's error.
        call.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        whole = False
        try:
            done, _ = await asyncio.wait({call}, timeout=seconds)
            if not done:
                return Answer(failure="it took too long and was ended", late=True)
            answer = pickle.loads(call.result())  # noqa: S301 - of our own worker
            assert isinstance(answer, Answer)
            whole = True
            return answer
        except ClusterError as error:
            reason = error.message.removeprefix("The worker ended: ").rstrip(".")
            return Answer(failure=f"it died ({reason})")
        except Exception as error:  # what its machine has may be another version's
            return Answer(failure=f"its worker raised {type(error).__name__}: {error}")
        finally:
            if whole:
                self._free.put_nowait(placed)
            elif not self.lost:
                # Its end ends the call, too, whatever it does.
                await self._stop(placed)
                call.cancel()

    async def _stop(self, placed: _Placed) -> None:
        self._due -= 1
        with anyio.move_on_after(_STOP_SECONDS, shield=True):
            await placed.worker.stop()
        placed.death.cancel()

    async def _end(self) -> None:
        for coming in self._coming:
            coming.cancel()
        if self._coming:
            await asyncio.wait(self._coming, timeout=_STOP_SECONDS)
        async with anyio.create_task_group() as group:
            while not self._free.empty():
                if isinstance(placed := self._free.get_nowait(), _Placed):
                    group.start_soon(self._stop, placed)
