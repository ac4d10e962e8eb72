"""The executor port on a private cluster of Ray's, and on three real nodes of this machine."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from llmasos.cluster import (
    ClusterError,
    Outcome,
    Progress,
    RayExecutor,
    Share,
    Stored,
    TaskTimeout,
    TaskUnknown,
    Work,
    nodes,
    records,
)
from llmasos.cluster._tree import descendants, end_tree
from llmasos.cluster.nodes import Offer
from llmasos.cluster.records import Node
from tests.cluster import tasks
from tests.integration.cluster.test_ray import set_variables

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


FORGET = """
import threading, time
import anyio
from llmasos.cluster import RayExecutor

async def main():
    executor = RayExecutor(cpus=1)
    assert await executor.run(abs, -3) == 3
    import ray
    results = [ray.put(number) for number in range(30_000)]
    left = threading.Event()

    def forget():
        while results and not left.is_set():
            results.pop()
            time.sleep(0.00002)

    thread = threading.Thread(target=forget)
    thread.start()
    await executor.close()
    left.set()
    thread.join()
    print(len(results))

anyio.run(main)
"""

LOSE = """
import sys
import anyio
from llmasos.cluster import ClusterError, RayExecutor, Share, Work, WorkerDied, nodes
from llmasos.cluster.nodes import Offer
from tests.cluster import tasks
from tests.cluster.test_local import counter
from tests.integration.cluster.test_ray_executor import lose

async def fails(error, awaited):
    try:
        await awaited
    except error as failure:
        print(type(failure).__name__, failure.message, flush=True)

async def main():
    head = nodes.up(port=0, offer=Offer(cpus=2), name="a")
    executor = RayExecutor(head.address)
    executor._head._patience = 3
    (result,) = await tasks.all_of(executor, tasks.large, [300_000], Work(inline=1000))
    worker = await executor.place(counter, 1)
    async with anyio.create_task_group() as group:
        group.start_soon(fails, WorkerDied, worker.call("hang"))
        many = tasks.all_of(executor, tasks.naps, range(10**6), Work(idempotent=True))
        group.start_soon(fails, ClusterError, many)
        await anyio.sleep(2)
        lose(head)
    await fails(ClusterError, executor.machines())
    await fails(ClusterError, executor.run(tasks.double, 1))
    await fails(ClusterError, executor.place(counter, 1))
    await fails(WorkerDied, worker.call("add", 1))
    # Another one may come, which knows another token, and has none of what this process had.
    nodes.down()
    nodes.up(port=int(head.address.rpartition(":")[2]), offer=Offer(cpus=2), name="b")
    print([machine.name for machine in await executor.machines()])
    await fails(WorkerDied, worker.call("add", 1))
    try:
        result.result()
    except ClusterError as error:
        print(error.message)
    del result
    print(await executor.run(tasks.double, 21))
    print(await (await executor.place(counter, 1)).call("add", 2))
    await executor.close()
    nodes.down()

anyio.run(main)
"""


def lose(head: Node) -> None:
    """End a head with its machine's node, whose end it must not tell.

    Ray ends every process that hears that the node on its machine has ended while it has results there.
    """
    os.kill(head.pid, signal.SIGSTOP)
    for pid in descendants([head.pid]):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "gcs_server":
            ended = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            select.select([ended], [], [])
            os.close(ended)
    end_tree([head.pid])


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files lie, by a short name, as Ray needs."""
    with tempfile.TemporaryDirectory(prefix="r-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
def three(folder: Path) -> Iterator[list[Node]]:
    """Three nodes of this machine, each with one core."""
    head = nodes.up(port=0, offer=Offer(cpus=1), name="a")
    offer = Offer(cpus=1, custom={"docker": 1})
    yield [head, *(nodes.join(head.address, offer=offer, name=name) for name in "bc")]
    nodes.down()


async def test_tasks_end_as_they_do_on_this_machine(folder: Path, tmp_path: Path) -> None:
    before, variables = descendants([os.getpid()]), set_variables()
    executor = RayExecutor(cpus=2)
    told: list[Progress] = []
    outcomes = await tasks.all_of(executor, tasks.double, range(500), watch=told.append)
    assert [outcome.result() for outcome in outcomes] == [2 * number for number in range(500)]
    assert (told[-1].total, told[-1].done) == (500, 500)
    assert set_variables() == variables
    assert await executor.run(tasks.add, 2, 3) == 5
    assert await executor.run(lambda number: 3 * number, 4) == 12

    outcomes = await tasks.all_of(executor, tasks.odd_fails, range(6))
    assert [outcome.state for outcome in outcomes] == ["done", "failed"] * 3
    with pytest.raises(tasks.Pickled, match="3 and 7"):
        outcomes[3].result()
    for outcome in await tasks.all_of(executor, tasks.prints, range(20)):
        number = outcome.result()
        assert outcome.output == f"first of {number}\nsecond of {number}\nthird of {number}\n"

    small, big = await tasks.all_of(executor, tasks.large, [10, 300_000], Work(inline=1000))
    assert small.value == b"x" * 10
    assert isinstance(big.value, Stored)
    assert big.result() == b"x" * 300_000

    outcomes = await tasks.all_of(executor, tasks.hangs_at_three, range(5), Work(timeout=2))
    assert [outcome.index for outcome in outcomes if outcome.state != "done"] == [3]
    with pytest.raises(TaskTimeout, match="Task 3 took longer than 2 s"):
        outcomes[3].result()

    file = tmp_path / "begun"
    notes = [tasks.Note(file, number) for number in range(10)]
    outcomes = await tasks.all_of(executor, tasks.dies, notes)
    assert "unknown" in {outcome.state for outcome in outcomes}
    begun = file.read_text().split()
    assert len(begun) == len(set(begun)), "none ran twice"
    assert {str(outcome.index) for outcome in outcomes if outcome.state == "done"} <= set(begun)
    file.unlink()
    outcomes = await tasks.all_of(executor, tasks.dies, notes, Work(idempotent=True))
    assert {outcome.state for outcome in outcomes} == {"done"}

    with pytest.raises(ClusterError, match="no machine with 3 cores to give"):
        await executor.run(tasks.double, 1, work=Work(share=Share(cpus=3)))
    with pytest.raises(ClusterError, match="no machine elsewhere"):
        await executor.run(tasks.double, 1, work=Work(share=Share(node="elsewhere")))

    hanging = executor.map(tasks.starts_others, [tmp_path / "pids"])
    async with anyio.create_task_group() as group:
        group.start_soon(anext, hanging)
        pids = [int(pid) for pid in (await tasks.written(tmp_path / "pids")).split()]
        group.cancel_scope.cancel()
    await hanging.aclose()
    with anyio.fail_after(30):
        while any(map(tasks.alive, pids)):
            await anyio.sleep(0.01)
    assert await executor.run(tasks.double, 5) == 10, "others go on"

    started = descendants([os.getpid()]) - before
    await executor.close()
    with anyio.fail_after(30):
        while any(map(tasks.alive, started)):
            await anyio.sleep(0.05)
    assert not list(folder.iterdir())


async def test_a_node_is_killed_while_tasks_run(three: list[Node], tmp_path: Path) -> None:
    executor = RayExecutor(three[0].address)
    machines = await executor.machines()
    assert sorted((machine.name, machine.alive) for machine in machines) == [(name, True) for name in "abc"]
    assert {machine.name: machine.has.get("docker", 0) for machine in machines} == {"a": 0, "b": 1, "c": 1}
    with pytest.raises(ClusterError, match=f"This machine is in the cluster at {three[0].address}"):
        nodes.up(port=0)

    # Where tasks go can be said.
    for node in three:
        pid = await executor.run(tasks.process, 0, work=Work(share=Share(node=node.name)))
        assert pid in descendants([node.pid])
    docker = Work(share=Share(custom={"docker": 1}))
    pids = {outcome.result() for outcome in await tasks.all_of(executor, tasks.process, range(20), docker)}
    assert not pids & descendants([three[0].pid])

    # What may run again does.
    found, killed = {}, 0.0
    work = Work(idempotent=True, ordered=False)
    async for outcome in executor.map(tasks.naps, range(200), work):
        found[outcome.index] = outcome
        if len(found) == 50:
            end_tree([three[2].pid])
            killed = time.monotonic()
        if outcome.tries > 1:
            print(f"back {time.monotonic() - killed:.1f} s after the node was killed")
    assert {number: outcome.result() for number, outcome in found.items()} == {n: n for n in range(200)}

    # What may not is told, and did not.
    file = tmp_path / "begun"
    notes = [tasks.Note(file, number) for number in range(60)]
    outcomes = executor.map(tasks.held, notes, Work(ordered=False))
    async with anyio.create_task_group() as group:
        results: list[Outcome] = []

        async def collect() -> None:
            results.extend([outcome async for outcome in outcomes])

        group.start_soon(collect)
        lost: set[str] = set()
        with anyio.fail_after(120):
            while not lost:
                await anyio.sleep(0.01)
                there = descendants([three[1].pid])
                lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
                lost = {number for number, pid in lines if int(pid) in there}
        end_tree([three[1].pid])
        (tmp_path / "go on").touch()
    unknown = {str(outcome.index) for outcome in results if outcome.state == "unknown"}
    assert lost <= unknown
    begun = [line.split()[0] for line in file.read_text().splitlines()]
    assert len(begun) == len(set(begun)), "none ran twice"
    assert {str(number) for number in range(60)} == unknown | set(begun)
    assert all(isinstance(one.error, TaskUnknown) for one in results if one.state == "unknown")
    await executor.close()

    assert [node.name for node in records.nodes()] == ["a"]
    tree = descendants([three[0].pid]) | {three[0].pid}
    assert [node.name for node in nodes.down()] == ["a"]
    assert not any(map(tasks.alive, tree))
    assert not three[0].folder.exists()
    assert os.getpid() not in tree


async def test_a_token_that_is_not_the_clusters_is_refused(folder: Path) -> None:
    head = nodes.up(port=0, offer=Offer(cpus=1))
    with pytest.raises(ClusterError, match="another token"):
        nodes.join(head.address, token="f" * 64)
    nodes.down()


def alone(script: str, folder: Path) -> list[str]:
    """Return what a script prints in a process of its own, which is the one that Ray would end."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_is_forgotten_while_a_cluster_is_left_ends_nothing(folder: Path) -> None:
    (left,) = alone(FORGET, folder)
    assert 0 < int(left) < 30_000, "there was something to forget all the time"


def test_a_process_outlives_its_cluster_and_joins_the_next_one(folder: Path) -> None:
    told = alone(LOSE, folder)
    begun = told[:6]
    assert all("127.0.0.1:" in line or line.startswith("WorkerDied") for line in begun), begun
    assert sum("does not answer (Connection refused)" in line for line in begun) >= 2, begun
    assert sum("cannot be reached: Connection refused" in line for line in begun) >= 2, begun
    assert told[6] == "['b']"
    assert told[7].startswith("WorkerDied The worker ended: The Ray cluster has ended")
    assert told[8].startswith("The result is gone: The Ray cluster has ended")
    assert told[9:] == ["42", "3"]
