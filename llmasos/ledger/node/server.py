"""JSON-RPC over a Unix socket: one value after another, as web3's `IPCProvider` sends them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

from llmasos.ledger.node.methods import INVALID_REQUEST, PARSE_ERROR, Methods, failure

REQUEST_BYTES = 16 * 2**20
LONG_BYTES = 2**20
MOST_REQUESTS = 1000
TOGETHER = 25
ENDS = (b"}", b"]")
TAIL = 8
DEEPEST = 100

_DECODER = json.JSONDecoder()
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[][{}]")


class BadRequest(ValueError):
    """What a client sent is no request, whatever follows."""


async def serve(methods: Methods, path: Path) -> None:
    """Answer on a socket that only its user can open, until it is cancelled; say `ready` when it is open."""
    async with await anyio.create_unix_listener(path, mode=0o600) as listener:
        print("ready", flush=True)
        await listener.serve(lambda stream: _converse(methods, stream))


async def _converse(methods: Methods, stream: anyio.abc.SocketStream) -> None:
    pending = b""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        async with stream:
            try:
                while True:
                    requests, pending = split(pending + await stream.receive())
                    for request in requests:
                        await _send(stream, await _answer(methods, request))
            except BadRequest as error:
                await _send(stream, failure(None, PARSE_ERROR, str(error)))
                await stream.send_eof()
                # Closing a socket with unread bytes could take the answer away from the client.
                while True:
                    await stream.receive()


async def _send(stream: anyio.abc.SocketStream, answer: Any) -> None:
    await stream.send(json.dumps(answer, separators=(",", ":")).encode() + b"\n")


async def _answer(methods: Methods, request: Any) -> Any:
    if not isinstance(request, list):
        return methods.answer(request)
    if not 1 <= len(request) <= MOST_REQUESTS:
        return failure(None, INVALID_REQUEST, f"a batch has 1 to {MOST_REQUESTS} requests")
    answers: list[Any] = []
    for sends, several in groupby(request, key=_sends):
        waiting = list(several)
        while waiting:
            some, waiting = waiting[:TOGETHER], waiting[TOGETHER:]
            answers += methods.answer_sent(some) if sends else map(methods.answer, some)
            # Others may ask, and the process may be stopped, in the middle of a batch.
            await anyio.lowlevel.checkpoint()
    return answers


def _sends(request: Any) -> bool:
    return isinstance(request, dict) and request.get("method") == "eth_sendRawTransaction"


def split(received: bytes) -> tuple[list[Any], bytes]:
    """Return the JSON values at the beginning of what was received, and the bytes after them.

    Raises:
        BadRequest: They are not the beginning of an object or array, are nested too deeply, or are too many.
    """
    values: list[Any] = []
    rest = received.lstrip()
    # There is no use in reading a long value again before what may be its end has come.
    while rest and (len(rest) < LONG_BYTES or rest.rstrip().endswith(ENDS)):
        if _depth(rest) > DEEPEST:
            raise BadRequest("the request is nested too deeply")
        try:
            text = rest.decode()
            value, end = _DECODER.raw_decode(text)
        except UnicodeDecodeError as error:
            if error.end < len(rest):
                raise BadRequest("the request is not UTF-8") from None
            break
        except json.JSONDecodeError as error:
            if _broken(error, rest):
                raise BadRequest(f"the request is not JSON: {error.msg}") from None
            break
        except ValueError as error:
            raise BadRequest(f"the request is not JSON: {str(error)[:100]}") from None
        values.append(value)
        rest = text[end:].lstrip().encode()
    if rest and rest[:1] not in (b"{", b"["):
        raise BadRequest("a request begins with { or [")
    if len(rest) > REQUEST_BYTES:
        raise BadRequest(f"a request has at most {REQUEST_BYTES} bytes")
    return values, rest


def _depth(text: bytes) -> int:
    """Return how deeply JSON is nested at most."""
    # The parser's own guard is Python's recursion limit, which py-evm raises beyond what the stack bears.
    deepest = text.count(b"[") + text.count(b"{")
    if deepest > DEEPEST:
        depth = deepest = 0
        for bracket in _BRACKETS.findall(_STRINGS.sub(b"", text)):
            depth += 1 if bracket in b"[{" else -1
            deepest = max(deepest, depth)
    return deepest


def _broken(error: json.JSONDecodeError, rest: bytes) -> bool:
    """Return whether no more bytes can make JSON of these."""
    if error.msg.startswith("Unterminated string"):
        return False
    # Half a literal or half an escape at the end may go on, but not behind the end of a line.
    return error.pos < len(error.doc.rstrip()) - (0 if rest.endswith(b"\n") else TAIL)
