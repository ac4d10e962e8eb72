"""Lanes give back what they hold, however they end."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from llmasos.cluster import ClusterError, Share, Work, _lanes
from llmasos.cluster._capacity import Capacity, Held
from llmasos.cluster._job import Job, Task
from llmasos.cluster._lanes import Lanes
from llmasos.cluster._pace import Pace
from tests.cluster import tasks

pytestmark = pytest.mark.anyio


class Places:
    """A machine with two cores, on which tasks never end."""

    def __init__(self) -> None:
        self.capacity = Capacity(2)
        self.begun = 0
        self.failing: Exception | None = None
        self.lanes = Lanes(self.capacity.take, self.capacity.give, self._run, self._look, self.capacity.crowd)

    async def _run(self, job: Job, tasks: list[Task], held: Held) -> None:
        self.begun += 1
        if self.failing is not None:
            raise self.failing
        await anyio.sleep_forever()

    async def _look(self) -> None:
        if self.failing is not None:
            raise self.failing

    def job(self, work: Work | None = None, items: int = 10) -> Job:
        return Job(tasks.double, range(items), work, None, Pace(0.01, 1))

    def free(self) -> bool:
        return self.capacity.take(Share(cpus=2)) is not None


async def test_a_lane_that_ends_gives_back_what_it_held() -> None:
    places = Places()
    async with aclosing(places.lanes.outcomes(places.job())) as outcomes, anyio.create_task_group() as group:
        group.start_soon(anext, outcomes)
        while places.begun < 2:
            await anyio.lowlevel.checkpoint()
        assert places.capacity.take(Share()) is None
        group.cancel_scope.cancel()
    assert places.free()


async def test_a_lane_that_ends_before_it_begins_does_so_too() -> None:
    places = Places()

    async def told() -> None:
        with pytest.raises(ClusterError, match="The executor was closed"):
            await anext(places.lanes.outcomes(places.job()))

    async with anyio.create_task_group() as group:
        group.start_soon(told)
        await anyio.lowlevel.checkpoint()
        await places.lanes.close()
    assert places.begun == 0 and places.free()


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), ClusterError("No machine is left.")])
async def test_whatever_goes_wrong_in_a_lane_ends_its_map(error: Exception) -> None:
    places = Places()
    places.failing = error
    with pytest.raises(ClusterError, match=r"Too many open files|No machine is left"):
        await anext(places.lanes.outcomes(places.job()))
    assert places.free()


async def test_whatever_goes_wrong_with_looking_ends_the_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lanes, "_LOOK_SECONDS", 0.0)
    places = Places()
    outcomes = places.lanes.outcomes(places.job())

    async def told() -> None:
        with pytest.raises(ClusterError, match="RuntimeError: the head is gone"):
            await anext(outcomes)

    async with anyio.create_task_group() as group:
        group.start_soon(told)
        while not places.begun:
            await anyio.lowlevel.checkpoint()
        places.failing = RuntimeError("the head is gone")
    await outcomes.aclose()
    assert places.free()


async def test_tasks_that_take_nothing_are_bounded_all_the_same() -> None:
    places = Places()
    work = Work(share=Share(cpus=0), window=1000)
    async with (
        aclosing(places.lanes.outcomes(places.job(work, 1000))) as outcomes,
        anyio.create_task_group() as group,
    ):
        group.start_soon(anext, outcomes)
        while not places.begun:
            await anyio.lowlevel.checkpoint()
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert places.begun == places.capacity.crowd() == 32
        group.cancel_scope.cancel()


async def test_what_was_closed_takes_no_more() -> None:
    places = Places()
    await places.lanes.close()
    with pytest.raises(ClusterError, match="The executor was closed"):
        await anext(places.lanes.outcomes(places.job()))
