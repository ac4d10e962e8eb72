"""Connections of slow, greedy and broken peers, on real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from llmasos.service import connection
from llmasos.service.server import make_server

pytestmark = pytest.mark.anyio


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def refuse(_request: Request) -> Response:
    return PlainTextResponse("no", status_code=401)


APP = Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/refuse", refuse, methods=["POST"])])


@asynccontextmanager
async def serving(app: Starlette = APP) -> AsyncIterator[partial[bytes]]:
    """Serve, and hand out a function that sends bytes and returns all that comes back to the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(app, http=connection.Connection)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            yield partial(talk, listener.getsockname()[1])
            server.should_exit = True


def talk(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(data)
        got = b""
        try:
            while piece := peer.recv(4096):
                got += piece
        except ConnectionResetError:
            pass
        return got


async def said(call: Callable[[bytes], bytes], data: bytes) -> bytes:
    return await anyio.to_thread.run_sync(call, data)


async def test_whole_requests_are_answered_one_after_the_other() -> None:
    one = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
    last = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab"
    async with serving() as call:
        got = await said(call, one + one + last)
    assert got.count(b"200 OK") == 3 and got.endswith(b"2")


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /echo HT", b"POST /echo HTTP/1.1\r\nhost: x\r\n", b"POST /echo HTTP/1.1\r\nhost: x\r\na: "],
)
async def test_a_head_that_does_not_come_is_not_waited_for(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.05)
    async with serving() as call:
        assert await said(call, sent) == b""


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_BODY_SECONDS", 0.05)
    async with serving() as call:
        got = await said(call, b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na")
    assert b"200" not in got


async def test_a_body_behind_a_refusal_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.05)
    async with serving() as call:
        got = await said(call, b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\na")
    assert got.startswith(b"HTTP/1.1 401") and got.endswith(b"no")


async def test_a_peer_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_STALLED_SECONDS", 0.05)
    left = anyio.Event()

    async def endless(_request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    await anyio.lowlevel.checkpoint()
                    yield b"x" * 65_536
            finally:
                left.set()

        return StreamingResponse(pieces())

    async with serving(Starlette(routes=[Route("/endless", endless)])) as call:
        with socket.create_connection(("127.0.0.1", call.args[0]), timeout=20) as peer:
            peer.sendall(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
            with anyio.fail_after(20):
                await left.wait()


async def test_more_connections_than_there_may_be_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 0)
    async with serving() as call:
        assert await said(call, b"") == b""


async def test_a_head_without_an_end_is_refused() -> None:
    async with serving() as call:
        got = await said(call, b"GET / HTTP/1.1\r\na: " + b"x" * 200_000)
    assert got == b"" or got.startswith(b"HTTP/1.1 4")
