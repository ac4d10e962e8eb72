"""What an endpoint sends: whole answers and streams of events, within bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from llmasos.models.remote import errors
from llmasos.models.untrusted import read_json

if TYPE_CHECKING:
    import httpx2

Event = dict[str, Any]
"""One event of a stream."""

_EVENT = 8 << 20
_STREAM = 1 << 30
_BODY = 64 << 20
_ERROR_BODY = 64 << 10
_LINES_AT_ONCE = 256


async def read_answer(url: str, response: httpx2.Response) -> Any:
    """Return the JSON of a whole answer.

    Raises:
        Failing: It is none, or too long.
    """
    return _json(url, await _read(url, response, _BODY))


async def read_error(url: str, response: httpx2.Response) -> bytes:
    """Return the beginning of what is sent with an error's status; nothing where it is compressed."""
    return b"" if _compressed(response) else await _read(url, response, _ERROR_BODY, cut=True)


async def read_events(url: str, response: httpx2.Response) -> AsyncGenerator[Event]:
    """Yield the JSON of each event, up to `[DONE]` or the end.

    Source: the event stream format of the HTML standard.

    Raises:
        Failing: It is no stream of events, or something in it is too long.
    """
    kind = response.headers.get("content-type", "")
    if not kind.lower().startswith("text/event-stream"):
        if message := errors.message_of(await read_error(url, response)):
            raise errors.no_reply(url, message)
        raise errors.no_reply(url, f"a stream was asked for, and {kind[:60] or 'nothing named'!r} came")
    data: list[bytes] = []
    size = 0
    async with aclosing(_lines(url, response)) as lines:
        async for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
                size += len(line)
                if size > _EVENT:
                    raise errors.no_reply(url, f"an event of more than {_EVENT >> 20} MiB")
            elif not line and data:
                text, data, size = b"\n".join(data), [], 0
                if text.strip() == b"[DONE]":
                    return
                yield _object(url, text)
    if data and b"\n".join(data).strip() != b"[DONE]":
        yield _object(url, b"\n".join(data))


async def _lines(url: str, response: httpx2.Response) -> AsyncGenerator[bytes]:
    rest = bytearray()
    count = 0
    async for piece in _pieces(url, response, _STREAM):
        start = len(rest)
        rest += piece
        while (end := rest.find(b"\n", start)) >= 0:
            yield bytes(rest[:end]).removesuffix(b"\r")
            del rest[: end + 1]
            start = 0
            count += 1
            if not count % _LINES_AT_ONCE:
                # Many short lines may come at once, and others want to be served in between.
                await anyio.lowlevel.checkpoint()
        if len(rest) > _EVENT:
            raise errors.no_reply(url, f"a line of more than {_EVENT >> 20} MiB")
    if rest:
        yield bytes(rest)


async def _read(url: str, response: httpx2.Response, limit: int, *, cut: bool = False) -> bytes:
    body = bytearray()
    async for piece in _pieces(url, response, _STREAM if cut else limit):
        body += piece
        if len(body) > limit:
            break
    return bytes(body[:limit])


async def _pieces(url: str, response: httpx2.Response, limit: int) -> AsyncGenerator[bytes]:
    if _compressed(response):
        raise errors.no_reply(url, "it is compressed, which was not asked for")
    received = 0
    async with aclosing(response.aiter_raw()) as pieces:
        async for piece in pieces:
            received += len(piece)
            if received > limit:
                raise errors.no_reply(url, f"an answer of more than {limit >> 20} MiB")
            yield piece


def _compressed(response: httpx2.Response) -> bool:
    # A few bytes may unpack to more than there is memory, or time to read it.
    return response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity")


def _object(url: str, text: bytes) -> Event:
    found = _json(url, text)
    if not isinstance(found, dict):
        raise errors.no_reply(url, f"no object, {text[:60].decode('utf-8', 'replace')!r}")
    return found


def _json(url: str, text: bytes) -> Any:
    try:
        return read_json(text)
    except ValueError:
        raise errors.no_reply(url, f"no JSON, {text[:60].decode('utf-8', 'replace')!r}") from None
