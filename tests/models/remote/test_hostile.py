"""Remote chats against endpoints that mean harm, or know no better."""

import gzip
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from llmasos.errors import ModelError
from llmasos.models.chat.port import ChatDelta, ChatMessage, ChatRequest, ChatTool
from llmasos.models.engines.port import InvalidRequest
from llmasos.models.remote import Endpoint, Patience, RemoteChat, Spend, remote_model
from llmasos.models.remote.errors import Denied, Late, retry_after
from llmasos.models.remote.wire import MOST_WRITTEN
from tests.models.remote.conftest import QUICK, Talking
from tests.models.remote.server import HELLO, Host, Server, broken_off, piece, sent, stalled, streamed, usage

pytestmark = pytest.mark.anyio

ASKED = ChatRequest(messages=(ChatMessage(role="user", content="hi"),))
KEY = "secret-key"
HE = piece({"content": "he"})
STOP = piece(finish="stop")


async def deltas(chat: RemoteChat, request: ChatRequest = ASKED) -> list[ChatDelta]:
    return [delta async for delta in chat.stream(request)]


def text(found: list[ChatDelta]) -> str:
    return "".join(delta.text for delta in found)


def endless(begin: bytes, more: bytes) -> Response:
    """Return a stream of events without an end."""

    async def body() -> AsyncIterator[bytes]:
        yield begin
        while True:
            # Where it is noticed that nobody reads any more.
            await anyio.lowlevel.checkpoint()
            yield more

    return StreamingResponse(body(), media_type="text/event-stream")


@asynccontextmanager
async def raw(begin: bytes, more: bytes, patience: Patience) -> AsyncGenerator[RemoteChat]:
    """Yield a chat with a server that sends this without an end, whatever it is asked."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await stream.receive()
                await stream.send(begin)
                while True:
                    await stream.send(more)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        chat = RemoteChat(Endpoint(f"http://127.0.0.1:{port}/v1", KEY, patience), "m")
        try:
            yield chat
        finally:
            await chat.close()
            tasks.cancel_scope.cancel()


SHORT = Patience(attempts=1, first=0.1, check=0.1)
# For what must be noticed without waiting: on a busy machine it takes more than SHORT.
LONG = Patience(attempts=1, first=60, check=60)


@pytest.mark.parametrize(
    ("begin", "more", "patience", "message"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", SHORT, "no (reply|answer) within 0.1"),
        (b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 10_000 + b"\r\n", LONG, "cannot be reached"),
        (
            b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
            SHORT,
            "no (reply|answer) within 0.1",
        ),
        (b"", b"no HTTP at all\r\n\r\n", LONG, "cannot be reached"),
    ],
    ids=["hints", "headers", "error", "noise"],
)
async def test_a_head_without_an_end_is_not_waited_for(
    begin: bytes, more: bytes, patience: Patience, message: str
) -> None:
    async with raw(begin, more, patience) as chat:
        with pytest.raises(ModelError, match=message):
            await deltas(chat)
        with pytest.raises(ModelError, match=message):
            await chat.check()


async def test_a_list_of_models_without_an_end_is_not_waited_for() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with raw(head, b"1\r\n[\r\n", SHORT) as chat:
        with pytest.raises(Late, match=r"no answer within 0\.1"):
            await chat.check()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (b"data: " + b"x" * 100_000 + b"\n", "an event of more than 8 MiB"),
        (b"x" * 1_000_000, "a line of more than 8 MiB"),
        (b"\n" * 100_000, "no more within 0.2"),
        (sent(piece({"content": "x" * 1_000_000}), done=False), "cannot be read .the reply has no end"),
        (
            sent(
                piece({"tool_calls": [{"index": n, "function": {"name": "f"}} for n in range(2000)]}),
                done=False,
            ),
            "cannot be read .the reply has no end",
        ),
    ],
    ids=["event", "line", "blanks", "text", "calls"],
)
async def test_a_reply_without_an_end_is_given_up(talking: Talking, more: bytes, message: str) -> None:
    answer = endless(sent(HE, done=False), more)
    async with talking(answer, patience=Patience(between=0.2)) as (chat, server):
        with pytest.raises(ModelError, match=message):
            assert len(text(await deltas(chat))) <= MOST_WRITTEN
        assert len(server.asked) == 1


async def test_others_are_served_while_many_lines_come(talking: Talking) -> None:
    lines = b": ping\n" * 20_000
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    answer = Response(lines + sent(*HELLO), media_type="text/event-stream")
    async with talking(answer) as (chat, _), anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        assert text(await deltas(chat)) == "hello"
        tasks.cancel_scope.cancel()
    assert turns > 50


@pytest.mark.parametrize("nested", [1, 2])
async def test_what_is_compressed_is_not_unpacked(talking: Talking, nested: int) -> None:
    data = sent(*HELLO)
    for _ in range(nested):
        data = gzip.compress(data)
    headers = {"content-encoding": ", ".join(["gzip"] * nested)}
    for status, message in ((200, "compressed, which was not asked for"), (500, "HTTP 500.\n")):
        answer = Response(data, status, headers=headers, media_type="text/event-stream")
        async with talking(answer) as (chat, server):
            with pytest.raises(ModelError, match=message):
                await deltas(chat)
            assert server.headers[0]["accept-encoding"] == "identity"


async def test_the_key_goes_nowhere_else(talking: Talking, host: Host) -> None:
    elsewhere = host.add(Server(streamed(*HELLO)))
    async with talking(RedirectResponse(f"{elsewhere.url}/chat/completions")) as (chat, server):
        server.models = RedirectResponse(f"{elsewhere.url}/models")
        for asked in (deltas(chat), chat.embed(["x"]), chat.check()):
            with pytest.raises(Denied, match="sends elsewhere, where the key is not taken"):
                await asked
        assert len(server.asked) == 2
    assert not elsewhere.paths


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"error": {"message": f"Incorrect key: {KEY}."}}, status_code=400),
        JSONResponse({"error": {"message": f"Incorrect key: {KEY}."}}, status_code=500),
        JSONResponse({"detail": f"Incorrect key: {KEY}."}),
        Response(KEY, media_type=KEY),
        streamed(KEY),
        streamed({"error": {"message": f"Incorrect key: {KEY}."}}),
        streamed(piece({"tool_calls": [{"index": KEY}]})),
    ],
    ids=range(7),
)
async def test_an_endpoint_that_says_the_key_is_not_quoted(talking: Talking, answer: Response) -> None:
    async with talking(answer) as (chat, _):
        with pytest.raises(ModelError, match=r"\[key\]") as caught:
            await deltas(chat)
    assert KEY not in str(caught.value) and KEY not in repr(caught.value)


@pytest.mark.parametrize(
    "event",
    [
        piece({"tool_calls": [{"index": float("inf"), "function": {"name": "f"}}]}),
        piece({"tool_calls": [{"index": "9" * 5000, "function": {"name": "f"}}]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        piece({"tool_calls": [{"index": 0, "function": "f"}]}),
        piece({"content": "a"}, logprobs={"content": [{"token": "a", "logprob": float("nan")}]}),
        piece({"content": "a"}, logprobs={"content": [{"token": "a", "logprob": 0, "top_logprobs": ["b"]}]}),
        piece({"content": "a"}, logprobs={"content": [{"token": "a", "bytes": [300], "logprob": 0}]}),
    ],
    ids=range(7),
)
async def test_events_that_lie_are_errors(talking: Talking, event: dict[str, Any]) -> None:
    async with talking(streamed(event)) as (chat, _):
        with pytest.raises(ModelError, match="cannot be read"):
            await deltas(chat)


async def test_a_number_is_no_text_of_that_many_bytes(talking: Talking) -> None:
    token = {"token": "a", "bytes": 1 << 40, "logprob": -1e400}
    event = piece({"content": "a"}, logprobs={"content": [token]})
    async with talking(streamed(event, STOP)) as (chat, _):
        (choice,) = (await deltas(chat))[0].logprobs
    assert (choice.data, choice.logprob) == (b"a", -9999.0)


async def test_half_characters_are_refused(talking: Talking) -> None:
    async with talking(streamed(HE, piece({"content": "\ud800"}))) as (chat, _):
        with pytest.raises(ModelError, match="no JSON"):
            await deltas(chat)


async def test_calls_have_ids_of_their_own_and_arguments_as_text(talking: Talking) -> None:
    calls = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
        {"index": 1, "id": "a", "function": {"name": "g", "arguments": "{"}},
        {"index": 2, "id": "b" * 1000, "function": {"name": "h", "arguments": None}},
    ]
    async with talking(streamed(piece({"tool_calls": calls}), STOP)) as (chat, _):
        found = (await deltas(chat))[0].calls
    assert [(call.name, call.arguments) for call in found] == [("f", '{"x": 1}'), ("g", "{"), ("h", "")]
    assert found[0].id == "a"
    assert len({call.id for call in found}) == 3 and all(len(call.id) < 100 for call in found)


@pytest.mark.parametrize("make", [stalled, broken_off], ids=["silent", "broken"])
async def test_what_follows_the_end_of_a_reply_is_not_needed(
    talking: Talking, make: Callable[..., Response]
) -> None:
    spend = Spend()
    async with talking(make(HE, STOP), patience=Patience(closing=0.05), spend=spend) as (chat, server):
        found = await deltas(chat)
        assert (text(found), found[-1].finish_reason) == ("he", "stop")
        assert len(server.asked) == 1
    assert spend.expenses()[0].output > 0


async def test_usage_beyond_any_model_is_estimated(talking: Talking) -> None:
    spend = Spend({"m": (1e6, 1e6)})
    for lie in (usage(1 << 31, 2), usage(5, 1 << 31), usage(0, 0), usage(True, True)):
        async with talking(streamed(HE, STOP, lie), spend=spend) as (chat, _):
            await deltas(chat)
    assert len(spend.expenses()) == 4
    assert all(0 < one.input < 100 and 0 < one.output < 100 for one in spend.expenses())


@pytest.mark.parametrize("said", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_pause_is_longer_than_a_day(said: str) -> None:
    assert retry_after(said) == 86_400


@pytest.mark.parametrize("said", ["", "-5", "nan", "²", "soon", "Fri, 31 Dec 9999 23:59:59 -9999999999"])
def test_a_pause_that_is_none_is_unknown(said: str) -> None:
    assert retry_after(said) is None


async def test_cookies_are_not_kept(talking: Talking) -> None:
    answer = streamed(*HELLO)
    answer.set_cookie("who", "you")
    async with talking(answer) as (chat, server):
        await deltas(chat)
        await deltas(chat)
    assert len(server.headers) == 2 and not any("cookie" in headers for headers in server.headers)


async def test_what_cannot_be_sent_is_told(talking: Talking) -> None:
    unsendable = ChatTool(name="f", parameters={"default": float("nan")})
    halved = ChatRequest(messages=(ChatMessage(role="user", content="a\ud800b"),))
    async with talking(streamed(*HELLO)) as (chat, server):
        with pytest.raises(InvalidRequest, match="cannot be sent as JSON"):
            await deltas(chat, ASKED.model_copy(update={"tools": (unsendable,)}))
        assert not server.asked
        assert text(await deltas(chat, halved)) == "hello"
        assert server.asked[0]["messages"][0]["content"] == "a?b"
        chat.endpoint.key = "ключ ключ"
        with pytest.raises(Denied, match="characters that no key has") as caught:
            await deltas(chat)
    assert "ключ" not in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 1000, "a\x1b[2J", "", 5, None, ["a"]])
async def test_a_models_name_is_a_short_line(host: Host, name: Any) -> None:
    server = host.add(Server())
    server.models = JSONResponse({"data": [{"id": name}]})
    with pytest.raises(ModelError, match="lists no model"):
        await remote_model(server.url, patience=QUICK)


async def test_what_a_model_keeps_in_view_is_a_number(talking: Talking) -> None:
    async with talking() as (chat, server):
        for told in (True, -1, "4096", 1.5, None):
            server.models = JSONResponse({"data": [{"id": "m", "max_model_len": told}, 5, None]})
            await chat.check()
            assert chat.context is None
        server.models = Response(json.dumps(["x"]))
        await chat.check()
