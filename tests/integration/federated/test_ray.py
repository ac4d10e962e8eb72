"""The Ray backend, on real clusters: the same bits as here, faults, stops, and one that runs already."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmasos.cluster import nodes
from llmasos.cluster._tree import began, descendants, end_tree
from llmasos.cluster.nodes import Offer
from llmasos.cluster.records import Node
from llmasos.federated.events import ClientFailed, RoundEnded, RunEvent
from llmasos.federated.port import FederatedError
from llmasos.federated.runs import Runs
from tests.integration.federated.conftest import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def rounds(told: list[RunEvent]) -> list[RoundEnded]:
    return [event for event in told if isinstance(event, RoundEnded)]


def hashes(told: list[RunEvent]) -> dict[int, str]:
    return {event.round: event.weights_sha256 for event in rounds(told)}


def participants(told: list[RunEvent]) -> list[list[str]]:
    return [[one.client for one in event.participants] for event in rounds(told)]


async def prepared(bench: Bench, sources: list[str], **given: Any) -> str:
    return await bench.prepared(sources, backend="ray", **given)


def folder_of(pids: Iterable[int]) -> Path:
    """Return the folder of a private cluster, by its processes."""
    told = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)
    (found,) = set(re.findall(rb"/tmp/f-[^/\0]+", told))
    return Path(os.fsdecode(found))


async def gone(started: Mapping[int, int], folder: Path) -> None:
    """Wait until nothing of a private cluster is left, for as long as is promised."""
    with anyio.fail_after(5):
        while folder.exists() or any(began(pid) == since for pid, since in started.items() if since):
            await anyio.sleep(0.02)


async def test_neither_a_crash_nor_stop_leaves_anything_and_the_bits_are_those_of_a_local_run(
    bench: Bench, hospitals: list[str]
) -> None:
    given: dict[str, Any] = {"strategy": "fedprox", "sample": 0.8, "recipe": "mlp"}
    local = await bench.told(await bench.prepared(hospitals, rounds=5, **given))
    name = await prepared(bench, hospitals, rounds=1000, **given)
    clustered: list[RunEvent] = []
    for how, until in (("interrupted", 2), ("stopped", 5)):
        run = await bench.runs.start(name)
        async for event in run.events(len(run.told())):
            clustered.append(event)
            if isinstance(event, RoundEnded) and event.round >= until:
                break
        assert run.pid is not None
        started = {pid: began(pid) for pid in descendants([run.pid])}
        assert len(started) >= 4
        folder = folder_of(started)
        if how == "stopped":
            await bench.runs.stop(name)
        else:
            os.kill(run.pid, signal.SIGKILL)
        await gone(started, folder)
        clustered += [event async for event in run.events(len(clustered))]
        assert bench.runs.status(name).state == how
        await anyio.wait_all_tasks_blocked()
    assert {number: hashes(clustered)[number] for number in range(1, 6)} == hashes(local)
    assert participants(clustered)[:2] == participants(local)[:2]


@pytest.fixture
def pair(faulty: None) -> Iterator[list[Node]]:
    """A cluster of two nodes with a core each, whose workers find the plugin."""
    head = nodes.up(port=0, offer=Offer(cpus=1), name="a")
    yield [head, nodes.join(head.address, offer=Offer(cpus=1), name="b")]
    nodes.down()


async def test_on_a_cluster_that_runs_who_dies_is_named_and_a_killed_node_is_gone_on_without(
    bench: Bench, hospitals: list[str], pair: list[Node]
) -> None:
    name = await prepared(
        bench, hospitals[:3], recipe="faulty", rounds=6, options={"fault": "die", "rows": [64]}
    )
    run = await bench.runs.start(name)
    told = []
    async for event in run.events():
        told.append(event)
        if isinstance(event, RoundEnded) and event.round == 1:
            end_tree([pair[1].pid])
    status = bench.runs.status(name)
    assert status.state == "completed" and status.round == 6
    failed = [event for event in told if isinstance(event, ClientFailed)]
    assert sum(event.client == "south.csv" for event in failed) == 6
    assert all("it died (" in event.reason for event in failed)
    assert participants(told)[0] == participants(told)[-1] == ["north.csv", "west.csv"]
    assert pair[0].alive, "the cluster is not the run's"

    given: dict[str, Any] = {"clients": 50, "sample": 0.1, "rounds": 3, "recipe": "mlp"}
    local = await bench.told(await bench.prepared(["digits"], **given))
    clustered = await bench.told(await prepared(bench, ["digits"], **given))
    assert hashes(clustered) == hashes(local) and len(hashes(local)) == 3


async def test_a_cluster_that_is_not_there_is_said_before_anything_starts(
    bench: Bench, hospitals: list[str]
) -> None:
    async def record(_: RunEvent) -> None: ...

    async with anyio.create_task_group() as tasks:
        runs = Runs(bench.root, tasks, record, cluster="127.0.0.1:1")
        with pytest.raises(FederatedError, match=r"The Ray cluster at 127\.0\.0\.1:1 cannot be reached"):
            await runs.prepare(bench.plan(hospitals, backend="ray"))
    assert not list(bench.root.iterdir())
