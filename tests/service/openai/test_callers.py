"""Callers who hang up, read slowly, or set deadlines."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

import anyio
import pytest
from starlette.types import Message

from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import ChatDelta
from llmasos.models.engines.port import TokenUsage
from llmasos.models.scheduler.types import Refused
from llmasos.service.openai import endpoint
from tests.service.openai.conftest import FakeAccess, MakeService, PartChat, Service, asked, scope

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"
DONE = ChatDelta(finish_reason="stop", usage=TokenUsage(input=3, cached=1, output=2))


async def talk(
    it: Service,
    body: object,
    send: Callable[[Message], Awaitable[None]],
    gone: anyio.Event,
    path: str = PATH,
) -> None:
    """Call with a `send` of one's own, and hang up at an event."""
    came = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])

    async def receive() -> Message:
        if (message := next(came, None)) is not None:
            return cast(Message, message)
        await gone.wait()
        return {"type": "http.disconnect"}

    await it.app(scope("POST", path, {}), receive, send)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("n", [1, 3])
async def test_hanging_up_stops_the_model(service: MakeService, stream: bool, n: int) -> None:
    chat = PartChat([ChatDelta(text="abcdef"), anyio.sleep_forever, DONE])
    it = service(chat)
    it.access = FakeAccess()
    gone = anyio.Event()

    async def send(_message: Message) -> None:
        await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk, it, asked(stream=stream, n=n), send, gone)
        await anyio.wait_all_tasks_blocked()
        assert chat.stopped == 0
        gone.set()
    assert chat.stopped == n
    assert [entry.body["status"] for entry in it.ledger.entries] == ["cancelled"] * n
    # Who hangs up pays for what was written.
    assert len(it.access.counted) == n and all(used[2] > 0 for used in it.access.counted)


@pytest.mark.parametrize("stream", [False, True])
async def test_hanging_up_before_anything_is_seen_is_paid_for_once_an_engine_has_begun(
    service: MakeService, stream: bool
) -> None:
    async def thinking() -> None:
        client = it.models.clients[-1]
        assert client.used is not None
        client.used(TokenUsage(input=70, output=8))
        await anyio.sleep_forever()

    for pieces, paid in (([thinking], [("fake", 70, 8)]), ([anyio.sleep_forever], [])):
        it = service(PartChat(pieces))
        it.access = FakeAccess()
        gone = anyio.Event()

        async def send(_message: Message) -> None:
            await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk, it, asked(stream=stream), send, gone)
            await anyio.wait_all_tasks_blocked()
            gone.set()
        assert it.access.counted == paid
        assert [entry.body["status"] for entry in it.ledger.entries] == ["cancelled"]


async def test_a_deadline_does_not_make_a_call_free(service: MakeService) -> None:
    async def thinking() -> None:
        client = it.models.clients[-1]
        assert client.used is not None
        client.used(TokenUsage(input=70, output=8))
        raise Refused("The reply took over 1 seconds.", status=504)

    it = service(PartChat([thinking]))
    it.access = FakeAccess()
    assert (await it.post(PATH, asked(), llmasos_deadline="1")).status == 504
    assert it.access.counted == [("fake", 70, 8)]


async def _leaving(sent: list[Message], stage: int, gone: anyio.Event, message: Message) -> None:
    """Take a message, and hang up when there are so many."""
    sent.append(message)
    if len(sent) == stage:
        gone.set()
    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/v1/responses"])
@pytest.mark.parametrize("stream", [False, True])
async def test_hanging_up_at_any_stage_leaves_one_record(
    service: MakeService, path: str, stream: bool
) -> None:
    it = service(FakeChat("some text to send" for _ in range(1000)))
    it.remember()
    body = {
        PATH: asked(stream=stream),
        "/v1/completions": {"model": "fake", "prompt": "x", "stream": stream},
        "/v1/responses": {"model": "fake", "input": "x", "stream": stream},
    }[path]
    for stage in range(16):
        gone, sent = anyio.Event(), list[Message]()
        if not stage:
            gone.set()
        await talk(it, body, partial(_leaving, sent, stage, gone), gone, path)
    chat = it.models.chats["fake"]
    assert isinstance(chat, FakeChat)
    asked_for = len(chat.requests) + len(chat.completions)
    statuses = [entry.body["status"] for entry in it.ledger.entries]
    assert len(statuses) == asked_for and set(statuses) <= {"ok", "cancelled"} and "ok" in statuses
    assert (await it.post(path, body)).status == 200


async def test_a_slow_reader_is_waited_for(service: MakeService) -> None:
    chat = PartChat([ChatDelta(text="x")] * 1000 + [DONE])
    it = service(chat)
    sent, more = [], anyio.Semaphore(0)

    async def send(message: Message) -> None:
        await more.acquire()
        sent.append(message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk, it, asked(stream=True), send, anyio.Event())
        for _ in range(5):
            more.release()
        await anyio.wait_all_tasks_blocked()
        assert len(sent) == 5 and chat.given <= 5
        for _ in range(2000):
            more.release()
    assert chat.given == 1001 and sent[-1]["body"].endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", [PATH, "/v1/responses", "/v1/completions"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_reader_that_stands_still_is_left(
    service: MakeService, monkeypatch: pytest.MonkeyPatch, path: str, stream: bool
) -> None:
    monkeypatch.setattr(endpoint, "STALLED_SECONDS", 0.001)
    it = service("some text to send", "another one")
    it.remember()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()
        sent.append(message)

    body = asked(stream=stream, n=2) if path == PATH else {"model": "fake", "stream": stream}
    body |= {PATH: {}, "/v1/responses": {"input": "x"}, "/v1/completions": {"prompt": "x"}}[path]
    with anyio.fail_after(20):
        await talk(it, body, send, anyio.Event(), path)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert {entry.body["status"] for entry in it.ledger.entries} == {"cancelled" if stream else "ok"}


async def test_the_deadline_ends_a_reply(service: MakeService) -> None:
    chat = PartChat([ChatDelta(text="a"), anyio.sleep_forever])
    it = service(chat)
    answer = await it.post(PATH, asked(), llmasos_deadline="0.01")
    assert answer.status == 504 and answer.error["code"] == "deadline_exceeded"
    assert chat.stopped == len(chat.requests)
    it = service(PartChat([ChatDelta(text="a"), TimeoutError()]))
    streamed = await it.post(PATH, asked(stream=True))
    assert streamed.data[-1]["error"]["code"] == "deadline_exceeded"


async def test_a_stream_that_could_not_begin_has_a_status(service: MakeService) -> None:
    sent: list[Message] = []
    late = [TimeoutError()]

    async def send(message: Message) -> None:
        if late:
            raise late.pop()
        sent.append(message)

    await talk(service("a"), asked(stream=True), send, anyio.Event())
    assert [message.get("status") for message in sent] == [504, None]
    assert json.loads(sent[1]["body"])["error"]["code"] == "deadline_exceeded"


async def test_hanging_up_within_the_body_is_no_error(service: MakeService) -> None:
    it = service("a")
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return cast(Message, next(messages))

    async def send(_message: Message) -> None:
        raise AssertionError("nobody is there")

    await it.app(scope("POST", PATH, {}), receive, send)
    assert it.ledger.entries == []
