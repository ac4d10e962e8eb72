"""Draining before a stop."""

from __future__ import annotations

import anyio
import pytest

from llmasos.service.drain import Drain
from llmasos.service.refusals import Draining

pytestmark = pytest.mark.anyio


async def test_what_runs_may_end_and_nothing_new_begins() -> None:
    drain, ended = Drain(60), False
    async with anyio.create_task_group() as tasks:
        with drain.call():
            drain.begin()
            with pytest.raises(Draining) as caught, drain.call():
                pytest.fail("it began")
            assert caught.value.retry_after == 60

            async def wait() -> None:
                nonlocal ended
                ended = await drain.wait()

            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            assert not ended
    assert ended


async def test_turns_are_waited_for_too() -> None:
    turns = [1, 1, 0]
    assert await Drain(60).wait(lambda: turns.pop(0))
    assert turns == []


async def test_what_does_not_end_is_not_waited_for_longer() -> None:
    assert not await Drain(0.01).wait(lambda: 1)


async def test_who_asks_a_second_time_does_not_wait() -> None:
    drain = Drain(600)
    with drain.call():
        drain.hurry()
        assert not await drain.wait()
