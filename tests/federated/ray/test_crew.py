"""Workers on a cluster: who raises, dies or hangs is named, and the others are asked all the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from flwr.app import Array, ArrayRecord, Message, RecordDict

from llmasos.cluster import Cluster, ClusterError, FakeExecutor, ProcessExecutor, Share
from llmasos.cluster.local import LocalWorker
from llmasos.federated.local.grid import CrewGrid
from llmasos.federated.port import FederatedError
from llmasos.federated.ray import crew
from llmasos.federated.ray.parcel import Client, Parcel
from tests.federated.ray.players import Counting, player


@contextmanager
def opened(
    cluster: Cluster,
    names: list[str],
    store: Counting,
    count: int,
    make: Callable[[Any], Awaitable[Any]] = player,
) -> Iterator[CrewGrid]:
    with start_blocking_portal() as portal:
        made = crew.ClusterCrew(
            cluster,
            portal,
            store,
            lambda node: Client(names[node], node),
            deal=None,
            count=count,
            make=make,
        )
        grid = CrewGrid(made, {node: {} for node in range(len(names))}, seconds=30.0, seed=0)
        yield grid
        grid.close()
        portal.call(cluster.close)


def ask(grid: CrewGrid, nodes: list[int], seconds: float | None = None) -> list[str]:
    content = RecordDict({"arrays": ArrayRecord({"w": Array(np.arange(9.0))})})
    messages = [Message(content, node, "train", group_id="1") for node in nodes]
    told = []
    for node, reply in zip(nodes, grid.send_and_receive(messages, timeout=seconds), strict=True):
        assert reply.metadata.src_node_id == node
        if reply.has_error():
            told.append(reply.error.reason or "it gave no reason")
        else:
            arrays = reply.content["arrays"]
            assert isinstance(arrays, ArrayRecord)
            np.testing.assert_array_equal(arrays["w"].numpy(), np.arange(9.0))
            told.append("")
    return told


def test_who_fails_is_named_and_a_new_worker_takes_the_place() -> None:
    store = Counting()
    names = ["fine", "raises", "fine", "dies", "fine", "hangs", "fine", "fine"]
    with opened(ProcessExecutor(cpus=2), names, store, 2) as grid:
        told = ask(grid, list(range(8)), seconds=4.0)
        assert [bool(reason) for reason in told] == [name != "fine" for name in names]
        assert told[1] == "it raised RuntimeError: no data here"
        assert told[3] == "it died (signal 9)"
        assert told[5] == "it took too long and was ended"
        assert len(store.put_in) == 1, "the weights are sent once"
        assert ask(grid, [0, 2, 4]) == ["", "", ""]
        assert len(store.put_in) == 2


def test_no_more_workers_are_placed_than_are_needed() -> None:
    cluster = FakeExecutor()
    with opened(cluster, ["fine"] * 6, Counting(), 4) as grid:
        assert ask(grid, [5]) == [""]
        assert len(cluster.workers) == 1
        assert ask(grid, [5, 3, 1, 0, 2, 4]) == [""] * 6
        assert len(cluster.workers) == 4


def test_a_worker_that_died_with_nothing_to_do_is_not_asked() -> None:
    cluster = FakeExecutor()
    with start_blocking_portal() as portal:
        made = crew.ClusterCrew(
            cluster,
            portal,
            Counting(),
            lambda node: Client("fine", node),
            deal=None,
            count=1,
            make=player,
        )
        grid = CrewGrid(made, {0: {}}, seconds=30.0, seed=0)
        assert ask(grid, [0]) == [""]
        portal.call(cluster.workers[0].kill)
        assert ask(grid, [0]) == [""]
        assert len(cluster.workers) == 2
        grid.close()


class Full(FakeExecutor):
    """A cluster that has places for so many workers only."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self._places = places

    async def place(
        self, make: Callable[..., Awaitable[Any]], *arguments: Any, share: Share | None = None
    ) -> LocalWorker:
        if len(self.workers) == self._places:
            raise ClusterError("The cluster has no place for a worker.")
        return await super().place(make, *arguments, share=share)


def test_what_places_there_are_serve_all_and_none_at_all_ends_the_run() -> None:
    with opened(Full(1), ["fine"] * 5, Counting(), 3) as grid:
        for _ in range(3):
            assert ask(grid, [0, 1, 2, 3, 4]) == [""] * 5
    with (
        opened(Full(0), ["fine"] * 5, Counting(), 3) as grid,
        pytest.raises(FederatedError, match="No client can run on the cluster: The cluster has no place"),
    ):
        ask(grid, [0, 1, 2])


def test_nobody_is_asked_where_there_is_nothing_to_ask() -> None:
    with opened(Full(0), ["fine"], Counting(), 3) as grid:
        assert ask(grid, []) == []


async def bare(_: Any) -> None:
    raise ModuleNotFoundError("No module named 'flwr'")


async def broken(_: Any) -> object:
    return object()


def test_machines_that_lack_what_is_needed_are_said() -> None:
    with (
        opened(FakeExecutor(), ["fine"], Counting(), 1, bare) as grid,
        pytest.raises(FederatedError, match="A worker cannot begin: ModuleNotFoundError: No module named"),
    ):
        ask(grid, [0])
    with opened(FakeExecutor(), ["fine"], Counting(), 1, broken) as grid:
        assert "AttributeError" in ask(grid, [0])[0]


class Waiting:
    async def answer(self, _: Parcel) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError


async def waiting(_: Any) -> Waiting:
    return Waiting()


def test_a_cluster_that_ended_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_WATCH_SECONDS", 0.0)
    cluster, told = FakeExecutor(), iter(["", "", "connection refused"])
    with start_blocking_portal() as portal:
        made = crew.ClusterCrew(
            cluster,
            portal,
            Counting(),
            lambda node: Client("fine", node),
            deal=None,
            count=2,
            make=waiting,
            unreachable=lambda: next(told),
        )
        grid = CrewGrid(made, {0: {}, 1: {}}, seconds=30.0, seed=0)
        with pytest.raises(FederatedError, match="The cluster has ended: connection refused"):
            ask(grid, [0, 1])
        grid.close()
        portal.call(cluster.close)
