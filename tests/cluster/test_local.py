"""The cluster port, on the cluster that is this process."""

from collections.abc import AsyncGenerator

import anyio
import pytest

from llmasos.cluster import LocalCluster, LocalWorker, WorkerDied
from llmasos.cluster._failure import Failure
from llmasos.models.scheduler.types import Refused

pytestmark = pytest.mark.anyio


class Counter:
    """Something to place."""

    def __init__(self, start: int) -> None:
        self.value = start
        self.running = 0

    async def add(self, number: int) -> int:
        self.value += number
        return self.value

    async def fail(self) -> None:
        raise Refused("Too busy.", status=429, retry_after=3, hint="Wait.")

    async def hang(self) -> None:
        self.running += 1
        try:
            await anyio.sleep_forever()
        finally:
            self.running -= 1

    async def count(self, end: int) -> AsyncGenerator[int]:
        self.running += 1
        try:
            for number in range(end):
                yield number
            if end == 3:
                raise Refused("Enough.", status=503)
        finally:
            self.running -= 1

    async def busy(self) -> int:
        return self.running


async def counter(start: int) -> Counter:
    if start < 0:
        raise ValueError("negative")
    return Counter(start)


async def placed() -> tuple[LocalCluster, LocalWorker]:
    cluster = LocalCluster()
    return cluster, await cluster.place(counter, 1)


async def test_objects_are_called_and_streamed_from() -> None:
    cluster, worker = await placed()
    assert await worker.call("add", 2) == 3
    assert [number async for number in worker.stream("count", 200)] == list(range(200))
    await cluster.close()


async def test_errors_come_back_as_they_were() -> None:
    cluster, worker = await placed()
    with pytest.raises(Refused, match="Too busy") as caught:
        await worker.call("fail")
    assert (caught.value.status, caught.value.retry_after, caught.value.hint) == (429, 3, "Wait.")
    found = []
    with pytest.raises(Refused, match="Enough"):
        async for number in worker.stream("count", 3):
            found.append(number)
    assert found == [0, 1, 2]
    with pytest.raises(ValueError, match="negative"):
        await cluster.place(counter, -1)
    await cluster.close()


def test_errors_that_cannot_travel_are_told_by_their_text() -> None:
    class Odd(Exception):
        pass

    error = Failure.of(Odd("strange")).error()
    assert "Odd: strange" in str(error)


async def test_leaving_a_stream_or_a_call_ends_it() -> None:
    cluster, worker = await placed()
    stream = worker.stream("count", 10**6)
    await anext(stream)
    assert await worker.call("busy") == 1
    await stream.aclose()
    assert await worker.call("busy") == 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.call, "hang")
        await anyio.wait_all_tasks_blocked()
        assert await worker.call("busy") == 1
        tasks.cancel_scope.cancel()
    assert await worker.call("busy") == 0
    await cluster.close()


async def test_the_end_of_a_worker_ends_what_it_does() -> None:
    cluster, worker = await placed()
    ended: list[str] = []

    async def hang() -> None:
        with pytest.raises(WorkerDied, match="it was killed"):
            await worker.call("hang")
        ended.append("call")

    async def wait() -> None:
        ended.append(await worker.died())

    stream = worker.stream("count", 10**6)
    await anext(stream)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hang)
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await worker.kill()
    assert sorted(ended) == ["call", "it was killed"]
    with pytest.raises(WorkerDied):
        await anext(stream)
    with pytest.raises(WorkerDied):
        await worker.call("add", 1)
    await cluster.close()
