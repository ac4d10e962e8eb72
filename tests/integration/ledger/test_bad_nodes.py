"""What answers badly, or is no node at all: clear errors, no secrets, and the next request works again."""

from __future__ import annotations

import json
import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream as Stream
from anyio.streams.buffered import BufferedByteReceiveStream as Buffer

from llmasos.ledger.chains.port import ChainError
from llmasos.ledger.chains.rpc import RpcClient, RpcError
from llmasos.ledger.chains.transport import HttpStatus, HttpTransport, TooLarge, UnixTransport

from .nodes import Handler, foreign, http, read_request, serving, serving_unix

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

SHORT = 0.2


def result(question: Any, value: Any = "0x5") -> bytes:
    said = [
        {"jsonrpc": "2.0", "id": item["id"], "result": value}
        for item in (question if isinstance(question, list) else [question])
    ]
    return json.dumps(said if isinstance(question, list) else said[0]).encode()


def always(answer: bytes) -> Handler:
    """Return a server that answers every request in the same way."""

    async def handle(stream: Stream, buffer: Buffer) -> None:
        while True:
            await read_request(buffer)
            await stream.send(answer)

    return handle


async def good(stream: Stream, buffer: Buffer) -> None:
    while True:
        await stream.send(http(result(await read_request(buffer))))


async def hangs(stream: Stream, buffer: Buffer) -> None:
    await read_request(buffer)
    await anyio.sleep_forever()


async def hangs_half(stream: Stream, buffer: Buffer) -> None:
    await read_request(buffer)
    await stream.send(http(b'{"jsonrpc":"2.0","id":1,"result":"0x5"}')[:-9])
    await anyio.sleep_forever()


async def dies(stream: Stream, buffer: Buffer) -> None:
    await read_request(buffer)


async def dies_half(stream: Stream, buffer: Buffer) -> None:
    await read_request(buffer)
    await stream.send(http(b'{"jsonrpc":"2.0","id":1,"result":"0x5"}')[:-9])


async def ssh(stream: Stream, buffer: Buffer) -> None:
    await stream.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    await buffer.receive()


async def trickles(stream: Stream, buffer: Buffer) -> None:
    await read_request(buffer)
    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        await stream.send(b" ")
        await anyio.sleep(SHORT / 10)


NOT_JSON, LATE = "does not speak JSON-RPC", r"does not answer within 0\.2 seconds"
BROKEN = "does not answer: RemoteProtocolError"
LIMITED = http(b'{"error":{"message":"slow"}}', "429 Too Many", "retry-after: 30")
BUSY = http(b"", "503 Busy", "retry-after: Wed, 21 Oct 2015 07:28:00 GMT")
MOVED = http(b"", "301 Moved", "location: http://127.0.0.1:1/hunter2")

BAD: dict[str, tuple[Handler, str]] = {
    "html": (always(http(b"<html>It works!</html>", "200 OK", "content-type: text/html")), NOT_JSON),
    "ssh": (ssh, BROKEN),
    "half": (always(http(b'{"jsonrpc":"2.0","id":1,')), NOT_JSON),
    "empty": (always(http(b"")), NOT_JSON),
    "bytes": (always(http(bytes(range(256)))), NOT_JSON),
    "other": (always(http(b'{"jsonrpc":"2.0","id":77,"result":"0x5"}')), NOT_JSON),
    "hangs": (hangs, LATE),
    "hangs half": (hangs_half, LATE),
    "trickles": (trickles, LATE),
    "dies": (dies, BROKEN),
    "dies half": (dies_half, BROKEN),
    "404": (always(http(b"not here", "404 Not Found")), "answers with HTTP 404 instead"),
    "500": (always(http(b"", "500 Internal Server Error")), "answers with HTTP 500 instead"),
    "moved": (always(MOVED), "answers with HTTP 301 instead"),
    "401": (always(http(b'{"error":"no"}', "401 Unauthorized")), "does not let us in"),
    "429": (always(LIMITED), "no more requests for 30 seconds"),
    "busy": (always(BUSY), r"no more requests \(HTTP 503\)"),
    "encoding": (always(http(b"no", "200 OK", "content-encoding: gzip")), "does not answer: DecodingError"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_server_is_described_without_secrets(name: str, caplog: pytest.LogCaptureFixture) -> None:
    handler, message = BAD[name]
    caplog.set_level(logging.INFO)
    async with serving(handler) as url:
        chain = foreign(HttpTransport(url, timeout=SHORT), 5)
        for call in (chain.connect, chain.nonce, chain.block):
            with pytest.raises(ChainError, match=message) as caught:
                await call()
            assert caught.value.hint and caught.value.__cause__ is None
            assert "hunter2" not in str(caught.value) and "http://127.0.0.1:" in str(caught.value)
        await chain.close()
    assert "hunter2" not in caplog.text


async def test_nobody_on_the_port_is_described_and_found_when_it_comes(tmp_path: Path) -> None:
    async with serving(good) as url:
        pass
    chain = foreign(HttpTransport(url), 5)
    with pytest.raises(ChainError, match=r"http://127.0.0.1:\d+ does not answer: ConnectError"):
        await chain.nonce()
    await chain.close()


async def test_what_a_server_gets_is_http_with_the_secrets_of_the_url() -> None:
    heads: list[str] = []

    async def handle(stream: Stream, buffer: Buffer) -> None:
        heads.append((await buffer.receive_until(b"\r\n\r\n", 10_000)).decode())
        await buffer.receive()
        await stream.send(http(b'{"jsonrpc":"2.0","id":1,"result":"0x5"}'))

    async with serving(handle) as url:
        chain = foreign(HttpTransport(url), 5)
        assert await chain.nonce() == 5
        await chain.close()
    lines = heads[0].lower().splitlines()
    assert lines[0] == "post /v3/hunter2?key=hunter2 http/1.1"
    assert "content-type: application/json" in lines
    assert any(line.startswith("authorization: basic ") for line in lines)


async def test_an_error_of_the_node_counts_whatever_the_status() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"missing trie node"}}'
    async with serving(always(http(body, "400 Bad Request"))) as url:
        rpc = RpcClient(HttpTransport(url))
        with pytest.raises(RpcError, match="missing trie node"):
            await rpc.request("eth_getProof")
        await rpc.close()


async def test_a_node_that_repeats_the_secrets_of_the_url_is_not_quoted() -> None:
    body = (
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"the project hunter2 is over its limit"}}'
    )
    async with serving(always(http(body))) as url:
        rpc = RpcClient(HttpTransport(url))
        with pytest.raises(RpcError, match="the project … is over its limit"):
            await rpc.request("eth_chainId")
        await rpc.close()


async def test_a_server_that_refuses_batches_is_asked_one_by_one() -> None:
    sizes: list[int] = []

    async def handle(stream: Stream, buffer: Buffer) -> None:
        while True:
            question = await read_request(buffer)
            sizes.append(len(question) if isinstance(question, list) else 1)
            refused = http(b"batches cost extra", "413 Too Large")
            await stream.send(refused if isinstance(question, list) else http(result(question)))

    async with serving(handle) as url:
        rpc = RpcClient(HttpTransport(url))
        assert await rpc.every([("eth_chainId", [])] * 5) == ["0x5"] * 5
        await rpc.close()
    assert sizes == [5, 2, 1, 1, 1, 1, 1]


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    async def endless(stream: Stream, buffer: Buffer) -> None:
        await read_request(buffer)
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n")
        while True:
            await stream.send(b" " * 65536)

    async with serving(endless) as url:
        rpc = RpcClient(HttpTransport(url, limit=10**6))
        with pytest.raises(TooLarge, match="more than 1000000 bytes"):
            await rpc.request("eth_getLogs")
        await rpc.close()


async def test_a_server_that_recovers_is_used_again() -> None:
    count = 0

    async def handle(stream: Stream, buffer: Buffer) -> None:
        nonlocal count
        count += 1
        await (dies_half, hangs, always(http(b"{")), good)[min(count, 4) - 1](stream, buffer)

    async with serving(handle) as url:
        chain = foreign(HttpTransport(url, timeout=SHORT), 5)
        for _ in range(2):
            with pytest.raises(ChainError):
                await chain.nonce()
        with pytest.raises(ChainError, match="does not speak"):
            await chain.nonce()
        assert await chain.nonce() == 5
        assert count == 4
        await chain.close()


async def test_many_requests_at_once_get_their_own_answers() -> None:
    async def echo(stream: Stream, buffer: Buffer) -> None:
        while True:
            question = await read_request(buffer)
            await stream.send(http(result(question, question["params"][0])))

    async with serving(echo) as url:
        rpc, got = RpcClient(HttpTransport(url)), {}

        async def ask(number: int) -> None:
            got[number] = await rpc.request("echo", number)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ask, number)
        assert got == {number: number for number in range(20)}
        await rpc.close()


async def test_too_many_logs_are_asked_for_in_smaller_ranges() -> None:
    asked: list[tuple[int, int]] = []

    async def handle(stream: Stream, buffer: Buffer) -> None:
        while True:
            question = await read_request(buffer)
            first, last = (int(question["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
            asked.append((first, last))
            error = {"code": -32005, "message": "query returned more than 10000 results"}
            said: dict[str, Any] = {"error": error} if last - first > 500 else {"result": []}
            body = {"jsonrpc": "2.0", "id": question["id"], **said}
            await stream.send(http(json.dumps(body).encode()))

    async with serving(handle) as url:
        chain = foreign(HttpTransport(url), 5)
        assert [item async for item in chain.logged("0x" + "11" * 20, 10, 2600)] == []
        await chain.close()
    taken = [(first, last) for first, last in asked if last - first <= 500]
    assert taken[0][0] == 10 and taken[-1][1] == 2600
    assert all(after[0] == before[1] + 1 for before, after in pairwise(taken))
    assert len(asked) < 20


async def test_too_many_logs_in_one_block_are_an_error() -> None:
    body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"too many results"}}'
    async with serving(always(http(body))) as url:
        chain = foreign(HttpTransport(url), 5)
        with pytest.raises(ChainError, match="too many results"):
            [item async for item in chain.logged("0x" + "11" * 20, 0, 10_000)]
        await chain.close()


async def test_an_answer_that_came_too_late_is_not_taken_for_the_next(tmp_path: Path) -> None:
    late, first = anyio.Event(), True

    async def handle(stream: Stream, buffer: Buffer) -> None:
        nonlocal first
        while True:
            question = json.loads(await buffer.receive_until(b"\n", 10_000))
            if first:
                first = False
                await late.wait()
            await stream.send(result(question, question["method"]) + b"\n")

    async with serving_unix(tmp_path / "s", handle):
        rpc = RpcClient(UnixTransport(tmp_path / "s", timeout=SHORT))
        with pytest.raises(ChainError, match=r"within 0\.2 seconds"):
            await rpc.request("one")
        late.set()
        assert await rpc.request("two") == "two"
        with anyio.CancelScope() as scope:
            scope.cancel()
            await rpc.request("three")
        assert await rpc.request("four") == "four"
        await rpc.close()


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (b"hello\n", ChainError, "does not speak JSON-RPC"),
        (b'{"jsonrpc":', ChainError, "does not answer: IncompleteRead"),
        (b"", ChainError, "does not answer"),
        (b" " * 10_000, TooLarge, "more than 1000 bytes"),
    ],
)
async def test_a_socket_that_answers_badly_is_described(
    said: bytes, error: type[ChainError], message: str, tmp_path: Path
) -> None:
    async def handle(stream: Stream, buffer: Buffer) -> None:
        await buffer.receive()
        await stream.send(said)

    path = tmp_path / "s"
    async with serving_unix(path, handle):
        rpc = RpcClient(UnixTransport(path, limit=1000))
        with pytest.raises(error, match=message):
            await rpc.request("eth_chainId")
        await rpc.close()
    path.unlink(missing_ok=True)
    with pytest.raises(ChainError, match="does not answer: FileNotFoundError"):
        await rpc.request("eth_chainId")


async def test_status_errors_say_when_to_come_again() -> None:
    async with serving(always(http(b"", "429 Too Many", "retry-after: 30"))) as url:
        rpc = RpcClient(HttpTransport(url))
        with pytest.raises(HttpStatus) as caught:
            await rpc.request("eth_chainId")
        assert (caught.value.status, caught.value.retry_after) == (429, 30)
        await rpc.close()
