"""The cluster port on a private cluster of Ray's."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from llmasos.cluster import RayCluster, WorkerDied
from llmasos.cluster._tree import descendants
from llmasos.models.scheduler.types import Refused
from tests.cluster.test_local import counter

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


def set_variables() -> dict[str, str]:
    # Ray sets some of its own when it is imported, which say nothing.
    return {name: value for name, value in os.environ.items() if name.startswith(("RAY_AUTH", "RAY_USAGE"))}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files lie: apart from those of tests beside this one, by a short name, as Ray needs."""
    with tempfile.TemporaryDirectory(prefix="r-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


async def test_a_cluster_outlives_the_threads_that_nobody_uses(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anyio._backends._asyncio.WorkerThread.MAX_IDLE_TIME", 0)
    cluster = RayCluster(cpus=1)
    worker = await cluster.place(counter, 1)
    meeting = threading.Barrier(4)
    for _ in range(8):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(anyio.to_thread.run_sync, lambda: meeting.wait())
        # All but one of the threads end now, and each time it may be another one.
        await anyio.to_thread.run_sync(int)
    assert await worker.call("add", 2) == 3
    assert [machine.alive for machine in await cluster.machines()] == [True]
    await worker.stop()
    assert not cluster._workers
    await cluster.close()


async def test_workers_do_what_local_ones_do_and_nothing_is_left(folder: Path) -> None:
    before, variables = descendants([os.getpid()]), set_variables()
    cluster = RayCluster(cpus=2)
    worker = await cluster.place(counter, 1)
    assert list(folder.iterdir())
    assert set_variables() == variables, "the token is nobody's but the cluster's"
    assert worker.pid not in (0, os.getpid())
    assert await worker.call("add", 2) == 3
    assert [number async for number in worker.stream("count", 200)] == list(range(200))
    with pytest.raises(Refused, match="Too busy") as caught:
        await worker.call("fail")
    assert (caught.value.status, caught.value.retry_after, caught.value.hint) == (429, 3, "Wait.")
    with pytest.raises(ValueError, match="negative"):
        await cluster.place(counter, -1)

    stream = worker.stream("count", 10**9)
    await anext(stream)
    assert await worker.call("busy") == 1
    await stream.aclose()
    assert await worker.call("busy") == 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.call, "hang")
        while await worker.call("busy") == 0:
            pass
        tasks.cancel_scope.cancel()
    assert await worker.call("busy") == 0

    other = await cluster.place(counter, 5)
    stream = worker.stream("count", 10**9)
    await anext(stream)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        async for _ in stream:
            pass
    assert await worker.died()
    with pytest.raises(WorkerDied):
        await worker.call("add", 1)
    assert await other.call("add", 1) == 6

    started = descendants([os.getpid()]) - before
    await cluster.close()
    with anyio.fail_after(30):
        while any(Path(f"/proc/{pid}").exists() for pid in started):
            await anyio.sleep(0.05)
    assert not list(folder.iterdir())
    assert set_variables() == variables

    again = RayCluster(cpus=1)
    assert await (await again.place(counter, 1)).call("add", 2) == 3
    await again.close()
