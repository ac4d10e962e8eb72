"""Answers of servers on the network, no larger than they may be.

This module loads the HTTP library; import it where it is used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

_LARGEST = 20_000_000


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > _LARGEST:
                raise httpx2.ReadError(f"the answer is larger than {_LARGEST:,} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def bounded(response: httpx2.Response) -> None:
    """Have reading a response fail when it is too large; of streams of events, each is bounded by itself."""
    kind = response.headers.get("content-type", "")
    if not kind.startswith("text/event-stream") and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Stream(response.stream)
