"""Events as they are sent: numbered, resumed without loss or repeat, alive while nothing happens."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message

from llmasos.agent import Chronicle, EventStream
from llmasos.events import Notice, TextDelta, TurnFinished
from llmasos.service.events import EventReply, place, stored
from llmasos.service.refusals import Refusal
from llmasos.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def session(store: Store) -> Chronicle:
    with store.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sessions (id, folder, title, model, created, updated, in_place, hosts, granted) "
            "VALUES ('s-1', '', '', '', '2026-01-01', '2026-01-01', 0, '[]', '[]')"
        )
    stream = await EventStream.open(store, "s-1")
    return Chronicle(store, "s-1", stream, running=lambda: False)


class Reader:
    """Reads a reply until it leaves, or the reply ends."""

    def __init__(self) -> None:
        self.text = ""
        self.started: Message = {}
        self.ended = False
        self.takes = anyio.Event()
        self.takes.set()
        self._left = anyio.Event()
        self._more = anyio.Event()

    async def receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.started = message
        else:
            self.text += message["body"].decode()
            self.ended = not message["more_body"]
        self._more.set()
        self._more = anyio.Event()

    async def until(self, text: str) -> None:
        while text not in self.text:
            await self._more.wait()

    def leave(self) -> None:
        self._left.set()

    @property
    def ids(self) -> list[int]:
        return [int(number) for number in re.findall(r"^id: (\d+)$", self.text, re.MULTILINE)]


def asked(query: str = "", last: str | None = None) -> Request:
    headers = [] if last is None else [(b"last-event-id", last.encode())]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers, "path": "/"})


@pytest.mark.parametrize(
    ("query", "last", "after"),
    [
        ("", None, None),
        ("after=3", None, 3),
        ("after=3", "7", 7),
        ("after=0", None, 0),
        ("", "0", 0),
        ("after=x", None, None),
        ("after=-1", None, None),
        ("after=" + "9" * 5000, None, None),
        ("after=٣", None, None),
    ],
)
def test_where_a_reader_goes_on(query: str, last: str | None, after: int | None) -> None:
    assert place(asked(query, last)) == after


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 5000])
def test_a_place_that_is_none_is_refused(last: str) -> None:
    with pytest.raises(Refusal, match="Last-Event-ID"):
        place(asked(last=last))


async def test_a_reader_that_comes_again_misses_nothing_and_sees_nothing_twice(session: Chronicle) -> None:
    stream, seen = session.stream, []
    for number in range(3):
        await stream.append(Notice(level="info", text=f"{number}"))
    after = 0
    for more in range(4):
        reader = Reader()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(EventReply(session, after), {}, reader.receive, reader.send)
            await reader.until(": following")
            stream.publish(TextDelta(text=f"words {more}\n"))
            await stream.append(Notice(level="info", text=f"more {more}"))
            await reader.until(f"more {more}")
            reader.leave()
        seen += reader.ids
        after = reader.ids[-1]
        assert reader.started["status"] == 200 and "retry: 1000" in reader.text
        assert (b"content-type", b"text/event-stream; charset=utf-8") in reader.started["headers"]
        assert "event: notice\n" in reader.text and "event: text_delta\n" in reader.text
        await stream.append(Notice(level="info", text="while nobody reads"))
    assert seen == list(range(1, len(seen) + 1)) and len(seen) == 10


async def test_passing_events_have_no_id_to_go_back_to(session: Chronicle) -> None:
    reader = Reader()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventReply(session, None), {}, reader.receive, reader.send)
        await reader.until(": following")
        session.stream.publish(TextDelta(text="words\n"))
        await reader.until("words")
        reader.leave()
    assert reader.ids == []


async def test_a_comment_shows_that_the_connection_lives(session: Chronicle) -> None:
    reader = Reader()
    reply = EventReply(session, None, heartbeat=0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reply, {}, reader.receive, reader.send)
        await reader.until(": still here\n\n: still here\n\n")
        reader.leave()


async def test_a_reader_that_takes_nothing_is_left(session: Chronicle) -> None:
    reader = Reader()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventReply(session, None, stalled=0.001), {}, reader.receive, reader.send)
        await reader.until(": following")
        reader.takes = anyio.Event()
        await session.stream.append(Notice(level="info", text="unread"))
    assert "unread" not in reader.text and not reader.ended


async def test_a_session_that_is_closed_ends_its_readers(session: Chronicle) -> None:
    reader = Reader()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventReply(session, None), {}, reader.receive, reader.send)
        await reader.until(": following")
        session.stream.close()
    assert reader.ended


async def test_a_reader_of_one_turn_ends_with_it(session: Chronicle) -> None:
    for turn in ("t-1", "t-2", "t-3"):
        await session.stream.append(TurnFinished(turn=turn, status="done"))
    reader = Reader()
    await EventReply(session, 0, turn="t-2")({}, reader.receive, reader.send)
    assert reader.ended and reader.ids == [1, 2]


async def test_stored_events_are_read_at_once(session: Chronicle) -> None:
    for number in range(3):
        await session.stream.append(Notice(level="info", text=f"{number}"))
    text = await stored(session, 1)
    reader: Any = Reader()
    reader.text = text
    assert reader.ids == [2, 3]
