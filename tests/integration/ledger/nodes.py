"""Nodes that behave, are recorded, lie, or are no nodes at all."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from llmasos.ledger import _contract
from llmasos.ledger._digest import FIRST_HEAD, next_anchored_head, next_head, session_key
from llmasos.ledger.chains.account import Account
from llmasos.ledger.chains.evm import EvmChain
from llmasos.ledger.chains.port import Receipt, Signed
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import CallTransport, Transport

KEY = bytes(range(1, 33))
UNKNOWN = {"code": -32601, "message": "the method does not exist"}
Handler = Callable[[anyio.abc.SocketStream, BufferedByteReceiveStream], Awaitable[None]]


def foreign(transport: Transport, chain_id: int, key: bytes = KEY, limit: float = 100.0) -> EvmChain:
    """Return a chain behind a transport, as the settings would give it."""
    account = Account(key)
    return EvmChain(RpcClient(transport), lambda: account, name="rpc", chain_id=chain_id, max_fee_gwei=limit)


@dataclass
class Log:
    """An audit log on a chain, and what it should hold."""

    chain: EvmChain
    contract: str = ""
    nonce: int = 0

    async def do(self, *calls: bytes) -> list[Receipt]:
        """Send calls of the contract together and return what became of them."""
        fees = await self.chain.fees()
        signed = [self.chain.sign(self.nonce + n, self.contract, data, fees) for n, data in enumerate(calls)]
        return await self.carry(signed)

    async def carry(self, signed: Sequence[Signed]) -> list[Receipt]:
        self.nonce += len(signed)
        await self.chain.send([item.raw for item in signed])
        receipts = await self.chain.receipts([item.tx_hash for item in signed])
        return [receipt for receipt in receipts if receipt is not None]

    async def deploy(self) -> None:
        """Create the contract."""
        signed = self.chain.sign(self.nonce, None, _contract.deploy_code(), await self.chain.fees())
        self.contract = _contract.created_address(self.chain.account, self.nonce)
        [receipt] = await self.carry([signed])
        assert receipt.ok


def appends(key: bytes, count: int) -> tuple[list[bytes], bytes]:
    """Return the calls that append records to a session, and its head after them."""
    head, calls = FIRST_HEAD, []
    for seq in range(1, count + 1):
        digest = session_key(f"record {seq}")
        calls.append(_contract.append_call(key, seq, head, digest, seq % 14))
        head = next_head(key, seq, head, digest, seq % 14)
    return calls, head


def anchor(key: bytes, count: int) -> tuple[bytes, bytes]:
    """Return the call that anchors a session's first tree, and the head after it."""
    root = session_key("root")
    call = _contract.anchor_call(key, 1, FIRST_HEAD, root, count)
    return call, next_anchored_head(key, 1, FIRST_HEAD, root, count)


class Recorder:
    """A transport that keeps what a node answers.

    Args:
        inner: The way to the node.
    """

    def __init__(self, inner: Transport) -> None:
        self.place, self.secrets, self._inner = inner.place, inner.secrets, inner
        self.answers: dict[str, Any] = {}

    async def exchange(self, question: bytes) -> bytes:
        """Ask the node."""
        answer = await self._inner.exchange(question)
        asked, said = json.loads(question), json.loads(answer)
        by_ident = {item["id"]: item for item in (said if isinstance(said, list) else [said])}
        for item in asked if isinstance(asked, list) else [asked]:
            self.answers[place_of(item)] = by_ident[item["id"]].get("result")
        return answer

    async def close(self) -> None:
        """Leave the node to its owner."""


def place_of(question: dict[str, Any]) -> str:
    """Return what names a question, whatever its id."""
    return json.dumps([question["method"], question["params"]])


def replay(answers: dict[str, Any]) -> CallTransport:
    """Return a node that knows these answers and nothing else."""

    def one(question: dict[str, Any]) -> dict[str, Any]:
        place = place_of(question)
        rest = {"result": answers[place]} if place in answers else {"error": UNKNOWN}
        return {"jsonrpc": "2.0", "id": question["id"], **rest}

    async def exchange(question: bytes) -> bytes:
        asked = json.loads(question)
        return json.dumps([one(item) for item in asked] if isinstance(asked, list) else one(asked)).encode()

    return CallTransport(exchange)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve connections on a free port and return the URL."""

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await handler(stream, BufferedByteReceiveStream(stream))
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        try:
            yield f"http://user:hunter2@127.0.0.1:{port}/v3/hunter2?key=hunter2"
        finally:
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def serving_unix(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Serve connections on a Unix socket, and end only when all of them have."""
    active, ended = 0, anyio.Event()

    async def handle(stream: anyio.abc.SocketStream) -> None:
        nonlocal active, ended
        active += 1
        try:
            async with stream:
                await handler(stream, BufferedByteReceiveStream(stream))
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            return
        finally:
            active -= 1
            ended.set()

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        try:
            yield
            while active:
                ended = anyio.Event()
                await ended.wait()
        finally:
            tasks.cancel_scope.cancel()


async def read_request(buffer: BufferedByteReceiveStream) -> Any:
    """Read one HTTP request and return its JSON."""
    head = (await buffer.receive_until(b"\r\n\r\n", 10_000)).decode().lower()
    length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
    return json.loads(await buffer.receive_exactly(length))


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def gone(pid: int) -> None:
    """Wait until a process has ended, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with anyio.fail_after(30):
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)
