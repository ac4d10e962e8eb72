"""What a reply sent and its reader has not read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from types import TracebackType

import anyio

from llmasos.models.engines.port import Chunk
from llmasos.models.engines.transformers.reply import Item

# Chunks that may lie unread before a reply pauses.
_UNREAD = 256


class Mailbox:
    """Carries chunks from the model's thread to the event loop that it was made on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._send, self._receive = anyio.create_memory_object_stream[Item](math.inf)

    def put(self, item: Item) -> None:
        """Send a chunk, or the error that ends the reply; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._put, item)
        except RuntimeError:
            # The loop is closed, and with it whoever waited.
            return

    def stalled(self) -> bool:
        """Return whether the reader does not keep up."""
        return self._receive.statistics().current_buffer_used >= _UNREAD

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Return the chunks up to the last one.

        Raises:
            ModelError: The reply ended with an error.
        """
        async for item in self._receive:
            if isinstance(item, Exception):
                raise item
            yield item
            if item.finish_reason is not None:
                return

    def __enter__(self) -> Mailbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send.close()
        self._receive.close()

    def _put(self, item: Item) -> None:
        try:
            self._send.send_nowait(item)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # The reader has gone, and the reply is about to be dropped.
            return
