"""Following a page: what changes on it is sent as it changes, drawn by the kernel as the page itself is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from llmasos.errors import LLMasOSError
from llmasos.service.events import FollowReply


def part(id: str, html: str, *, into: str = "", first: bool = False) -> dict[str, object]:
    """Return the message that puts a part of the page in the place of the one with its id.

    Args:
        id: The id of the element.
        html: The element, as the renderer made it.
        into: The id of the element that it is put into where it is new.
        first: Whether it comes first there, and not last.
    """
    return {"id": id, "html": html, "into": into, "first": first}


def message(number: int, *parts: dict[str, object]) -> str:
    """Return messages as server-sent events; those with a number are where a reader goes on from.

    Args:
        number: The number of the stored event that they tell; 0 for a passing one.
        parts: The messages.
    """
    told = f"id: {number}\n" if number else ""
    return f"{told}event: parts\ndata: {json.dumps(parts)}\n\n"


def watched(draw: Callable[[], Awaitable[str]], id: str, every: float) -> FollowReply:
    """Return a reply that sends an element whenever it is drawn otherwise than before.

    How the kernel stands can only be looked at.

    Args:
        draw: Draws the element.
        id: Its id.
        every: Seconds between two looks.
    """

    async def drawn() -> AsyncIterator[str]:
        # It may have changed since the page was loaded.
        before = ""
        while True:
            try:
                now = await draw()
            except LLMasOSError:
                # What is followed is gone, such as a training that was removed.
                return
            if now != before:
                before = now
                yield message(0, part(id, now))
            await anyio.sleep(every)

    @asynccontextmanager
    async def follow() -> AsyncIterator[AsyncIterator[str]]:
        yield drawn()

    return FollowReply(follow)
