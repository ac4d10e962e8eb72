"""Work across cores and machines: our executors beside the standard library's and plain Ray."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from benchmarks.cluster_tasks import hang, nap, spread, tiny
from benchmarks.figure import HEAD, Figure, ratio
from benchmarks.models import apart
from llmasos.cluster import Executor, ProcessExecutor, RayExecutor, Work, nodes, records
from llmasos.cluster._tree import descendants, end_tree
from llmasos.cluster.nodes import Offer

WORKERS, RUNS, RAY_RUNS = 2, 5, 3
TINY, NAPS = 10_000, 200
MANY = 1_000_000
IDLE_SECONDS = 5.0


def family() -> set[int]:
    """Return the processes below this one."""
    return descendants([os.getpid()])


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor's time of processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def own_mib(pids: Iterable[int]) -> float:
    """Return the memory that processes share with nobody."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


async def seconds(work: Awaitable[Any]) -> float:
    """Return how long something takes."""
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def run_all(
    executor: Executor, function: Callable[[int], Any], count: int, work: Work | None = None
) -> None:
    """Run a function over numbers."""
    async with aclosing(executor.map(function, range(count), work)) as outcomes:
        async for outcome in outcomes:
            outcome.result()


def beside(ours: list[float], peer: str, theirs: list[float]) -> str:
    """Say both medians."""
    return f"{statistics.median(ours):.3f} s, {peer} {statistics.median(theirs):.3f} s"


def compared(what: str, ours: list[float], peer: str, theirs: list[float], bound: float | None) -> Figure:
    """Return the ratio of our time to a peer's."""
    return Figure(what, ratio(ours, theirs), beside(ours, peer, theirs), bound, least=False)


async def idle(what: str, pids: set[int], peer: str = "") -> list[Figure]:
    """Measure what processes take while they have nothing to do."""
    before = cpu_seconds(pids)
    await anyio.sleep(IDLE_SECONDS)
    share = (cpu_seconds(pids) - before) / IDLE_SECONDS
    return [
        Figure(f"{what}, idle: of one core", 100 * share, unit=" %"),
        Figure("the same: memory of its own", own_mib(pids), peer, unit=" MiB"),
    ]


async def _here() -> list[Figure]:
    begun = time.perf_counter()
    executor = ProcessExecutor(cpus=WORKERS)
    await executor.run(tiny, 1)
    start = [time.perf_counter() - begun]
    await run_all(executor, nap, 10)
    before = family()
    context = multiprocessing.get_context("spawn")
    begun = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, context) as pool:
        pool.submit(tiny, 1).result()
        pool_start = [time.perf_counter() - begun]
        list(pool.map(nap, range(10)))
        times: dict[str, list[float]] = {}

        async def pooled(function: Callable[[int], int], count: int, chunk: int = 1) -> None:
            list(pool.map(function, range(count), chunksize=chunk))

        for _ in range(RUNS):
            for name, work in (
                ("tiny", run_all(executor, tiny, TINY)),
                ("tiny pool", pooled(tiny, TINY)),
                ("tiny chunks", pooled(tiny, TINY, 64)),
                ("naps", run_all(executor, nap, NAPS)),
                ("naps pool", pooled(nap, NAPS)),
            ):
                times.setdefault(name, []).append(await seconds(work))
        theirs = own_mib(family() - before)
    pool_name = "`ProcessPoolExecutor.map`"
    rows = [
        compared(f"processes: {TINY:,} tiny tasks", times["tiny"], pool_name, times["tiny pool"], 1.1),
        compared("the same", times["tiny"], "the pool with chunks of 64", times["tiny chunks"], None),
        compared(f"processes: {NAPS} tasks of 20 ms", times["naps"], pool_name, times["naps pool"], 1.1),
        compared("processes: start-up, to the first result", start, "the pool (spawn)", pool_start, None),
        *await idle(f"{WORKERS} processes", before, f"the pool's {theirs:.1f} MiB"),
    ]
    at, begun = own_mib([os.getpid()]), time.perf_counter()
    await run_all(executor, tiny, MANY)
    took = time.perf_counter() - begun
    grown = own_mib([os.getpid()]) - at
    rows.append(
        Figure(f"processes: memory after {MANY:,} items", max(grown, 0), f"{took:.1f} s", 50, False, " MiB")
    )
    ours, ends = family() - before, list[float]()
    for _ in range(RUNS):
        outcomes = executor.map(hang, range(WORKERS))
        async with anyio.create_task_group() as group:
            group.start_soon(anext, outcomes)
            while len(running := family() - ours) < 2 * WORKERS:
                await anyio.sleep(0.01)
            begun = time.perf_counter()
            group.cancel_scope.cancel()
        await outcomes.aclose()
        assert not running & family()
        ends.append(time.perf_counter() - begun)
    await executor.close()
    rows.append(
        Figure("processes: closing a map, until nothing is left", statistics.median(ends), "", 2, False, " s")
    )
    return rows


async def _ray() -> list[Figure]:
    before = family()
    begun = time.perf_counter()
    executor = RayExecutor(cpus=WORKERS)
    await executor.run(tiny, 1)
    start = time.perf_counter() - begun
    await run_all(executor, nap, 20)
    import ray

    window = Work().window

    async def plain(function: Callable[[int], int], count: int) -> None:
        remote: Any = ray.remote(function)
        waiting: list[Any] = []
        for number in range(count):
            waiting.append(remote.remote(number))
            if len(waiting) >= window:
                done, waiting = ray.wait(waiting, num_returns=1)
                ray.get(done)
        ray.get(waiting)

    await plain(nap, 20)
    times: dict[str, list[float]] = {}
    alone = Work(timeout=600)
    for _ in range(RAY_RUNS):
        for name, work in (
            ("tiny", run_all(executor, tiny, TINY)),
            ("tiny plain", plain(tiny, TINY)),
            ("alone", run_all(executor, tiny, TINY // 10, alone)),
            ("alone plain", plain(tiny, TINY // 10)),
            ("naps", run_all(executor, nap, NAPS)),
            ("naps plain", plain(nap, NAPS)),
        ):
            times.setdefault(name, []).append(await seconds(work))
    rows = [
        compared(f"Ray: {TINY:,} tiny tasks", times["tiny"], "plain Ray", times["tiny plain"], 1.2),
        compared(
            f"Ray: {TINY // 10:,} tiny tasks, each sent alone for its timeout",
            times["alone"],
            "plain Ray",
            times["alone plain"],
            None,
        ),
        compared(f"Ray: {NAPS} tasks of 20 ms", times["naps"], "plain Ray", times["naps plain"], 1.2),
        Figure("Ray: start-up of a private cluster, to the first result", start, unit=" s"),
        *await idle("Ray, a private cluster", family() - before),
    ]
    await executor.close()
    return rows


@asynccontextmanager
async def three_nodes() -> AsyncGenerator[list[records.Node]]:
    """Three nodes of this machine, each with one core."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLMASOS_DATA_DIR"] = folder
        try:
            head = nodes.up(port=0, offer=Offer(cpus=1), name="a")
            yield [head, *(nodes.join(head.address, offer=Offer(cpus=1), name=name) for name in "bc")]
        finally:
            nodes.down()


async def _nodes() -> list[Figure]:
    async with three_nodes() as three:
        executor = RayExecutor(three[0].address)
        idling = {pid for node in three for pid in {node.pid} | descendants([node.pid])}
        rows = await idle("Ray, three nodes", idling)
        await run_all(executor, spread, 60)
        killed, back, done = 0.0, list[float](), 0
        work = Work(idempotent=True, ordered=False)
        async with aclosing(executor.map(spread, range(NAPS), work)) as outcomes:
            async for outcome in outcomes:
                outcome.result()
                done += 1
                if done == NAPS // 4:
                    end_tree([three[2].pid])
                    killed = time.perf_counter()
                if outcome.tries > 1:
                    back.append(time.perf_counter() - killed)
        await executor.close()
        begun = time.perf_counter()
        nodes.down()
        ended = time.perf_counter() - begun
    said = f"{done} of {NAPS} ended well, {len(back)} of them begun again"
    what = "Ray: a node is killed, until its last task is back"
    return [
        *rows,
        Figure(what, max(back, default=0.0), said, 20, least=False, unit=" s"),
        Figure("`llmasos cluster down`", ended, "", 5, least=False, unit=" s"),
    ]


def here() -> list[Figure]:
    """Measure processes of this machine."""
    return anyio.run(_here)


def on_ray() -> list[Figure]:
    """Measure a private cluster of Ray's."""
    return anyio.run(_ray)


def on_nodes() -> list[Figure]:
    """Measure three nodes, one of which is killed."""
    return anyio.run(_nodes)


def lines() -> list[str]:
    """Measure everything, and return a table of it."""
    figures = [figure for part in (here, on_ray, on_nodes) for figure in apart(part)]
    rows = [figure.markdown() for figure in figures]
    print(*rows, sep="\n")
    return [
        f"Times by the clock, on {WORKERS} worker processes, medians of {RUNS} runs ({RAY_RUNS} of Ray), one",
        "after the other in one process; start-up, idling and the killed node are one run each. Plain Ray",
        f"has as many tasks on their way as our executor, {Work().window:,}. Three nodes are on one machine.",
        "",
        *HEAD,
        *rows,
    ]
