"""A session's stream, where those who write to it are cancelled."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import SessionRow
from llmasos.agent.stream import EventStream
from llmasos.events import Notice
from llmasos.migrations import upgrade
from llmasos.store import Store

pytestmark = pytest.mark.anyio


async def test_an_event_stored_by_who_was_cancelled_is_handed_out_with_the_next(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    upgrade(store)
    now = datetime.now(UTC)

    def begin(transaction: Transaction) -> None:
        transaction.add(SessionRow(id="s", folder="/", created=now, updated=now))

    await store.run(begin)
    stream = await EventStream.open(store, "s")
    heard: list[str] = []
    async with stream.follow() as events:
        for number in range(20):
            # A library may cancel its own tasks while the database is at work.
            task = asyncio.ensure_future(stream.append(Notice(text=f"cancelled {number}")))
            for _ in range(number):
                await anyio.lowlevel.checkpoint()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await stream.append(Notice(text=f"whole {number}"))
        async for event in events:
            assert isinstance(event, Notice)
            heard.append(event.text)
            if event.text == "whole 19":
                break
    stored = await stream.read()
    assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
    assert heard == [event.text for event in stored if isinstance(event, Notice)]
    assert [text for text in heard if text.startswith("whole")] == [f"whole {n}" for n in range(20)]
    store.close()
