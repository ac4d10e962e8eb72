"""Lanes give back what they hold, however they end."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from llmasos.cluster import ClusterError, Share
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
        self.lanes = Lanes(self.capacity.take, self.capacity.give, self._run)

    async def _run(self, job: Job, tasks: list[Task], held: Held) -> None:
        self.begun += 1
        await anyio.sleep_forever()

    def job(self) -> Job:
        return Job(tasks.double, range(10), None, None, Pace(0.01, 1))

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
        while not places.lanes.busy:
            await anyio.lowlevel.checkpoint()
        await places.lanes.close()
    assert places.begun == 0 and places.free()


async def test_what_was_closed_takes_no_more() -> None:
    places = Places()
    await places.lanes.close()
    with pytest.raises(ClusterError, match="The executor was closed"):
        await anext(places.lanes.outcomes(places.job()))
