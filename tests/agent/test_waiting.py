"""What those who look on are told while an endpoint sends nothing."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from llmasos.agent.waiting import Waiting
from llmasos.events import Progress
from llmasos.models import Origin

pytestmark = pytest.mark.anyio


class Told:
    """A stream that keeps what is published."""

    def __init__(self) -> None:
        self.events: list[Progress] = []
        self.more = anyio.Event()

    def publish(self, event: Progress) -> None:
        self.events.append(event)
        self.more.set()
        self.more = anyio.Event()


async def test_an_endpoint_that_sends_nothing_is_named() -> None:
    told: Any = Told()
    async with anyio.create_task_group() as tasks:
        waiting = Waiting(tasks, told, "t-1", Origin(model="m", endpoint="example.org:443"), patience=0.01)
        with waiting.on_reply() as hear:
            await told.more.wait()
            await told.more.wait()
            hear()
            hear()
            await told.more.wait()
    first, *_, answers, again = told.events
    assert (first.turn, first.what, first.unit) == ("t-1", "Waiting for m at example.org:443", "s")
    assert 0.01 <= first.done < told.events[1].done
    assert (answers.turn, answers.what, answers.done) == ("t-1", "The model m answers", 0)
    assert again.what == first.what and again.done < told.events[1].done


async def test_a_model_of_this_machine_is_not_waited_for() -> None:
    told: Any = Told()
    async with anyio.create_task_group() as tasks:
        with Waiting(tasks, told, "t-1", Origin(model="m"), patience=0.0).on_reply() as hear:
            await anyio.wait_all_tasks_blocked()
            hear()
    assert not told.events
