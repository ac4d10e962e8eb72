"""A session's events as server-sent events of the HTML standard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llmasos.agent import Chronicle
from llmasos.events import Event, TurnFinished
from llmasos.service.refusals import Refusal, TooLarge

SERVER_SENT = "text/event-stream"
_HEARTBEAT_SECONDS = 15.0
_STALLED_SECONDS = 60.0
_RETRY_MILLISECONDS = 1000
_LONGEST_NUMBER = 18


def place(request: Request) -> int | None:
    """Return the number of the event after which a reader goes on; None for what comes from now on.

    A reader that connects again says in `Last-Event-ID` how far it came, which counts more than `after`.

    Raises:
        Refusal: `Last-Event-ID` is no number.
    """
    last = request.headers.get("last-event-id", "")
    if last:
        if not _is_number(last):
            raise Refusal(
                "Last-Event-ID is not the number of an event.", hint="Leave it away, or use `after`."
            )
        return int(last)
    given = request.query_params.get("after", "")
    return int(given) if _is_number(given) else None


async def beginning(request: Request, session: Chronicle) -> int | None:
    """Return the number after which a reader goes on, which may ask for the newest turns.

    Raises:
        Refusal: `Last-Event-ID` or `last` is no number.
    """
    after = place(request)
    if not (last := request.query_params.get("last", "")):
        return after
    if not _is_number(last) or not int(last):
        raise Refusal("`last` is a number of turns, from 1.", hint="Leave it away for all of them.")
    return max(after or 0, await session.stream.tail(int(last)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


def written(event: Event) -> str:
    """Return an event as it is sent; passing ones have no id, so that a reader does not go back to them."""
    number = f"id: {event.seq}\n" if event.seq else ""
    return f"{number}event: {event.type}\ndata: {event.model_dump_json()}\n\n"


async def stored(session: Chronicle, after: int) -> str:
    """Return the stored events after a number."""
    return "".join(written(event) for event in await session.stream.read(after))


Texts = AbstractAsyncContextManager[AsyncIterator[str]]


class FollowReply(Response):
    """A reply that sends events as they come, until its reader leaves or there are no more.

    Args:
        follow: Returns the events as they are sent; nothing is missed once it is entered.
        heartbeat: Seconds of silence after which a comment shows that the connection lives.
        stalled: Seconds after which a reader that takes nothing is left.
    """

    def __init__(
        self,
        follow: Callable[[], Texts],
        *,
        heartbeat: float = _HEARTBEAT_SECONDS,
        stalled: float = _STALLED_SECONDS,
    ) -> None:
        super().__init__(media_type=SERVER_SENT, headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._events = follow
        self._heartbeat = heartbeat
        self._stalled = stalled
        self._sending = anyio.Lock()
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        async with self._events() as events, anyio.create_task_group() as tasks:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            await self._write(send, f": following\nretry: {_RETRY_MILLISECONDS}\n\n")
            tasks.start_soon(self._until_gone, receive, tasks.cancel_scope)
            tasks.start_soon(self._beat, send, tasks.cancel_scope)
            await self._follow(send, events, tasks.cancel_scope)
            tasks.cancel_scope.cancel()

    async def _follow(self, send: Send, events: AsyncIterator[str], scope: anyio.CancelScope) -> None:
        async for event in events:
            await self._tell(send, event, scope)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send, scope: anyio.CancelScope) -> None:
        while True:
            before = self._sent
            await anyio.sleep(self._heartbeat)
            if self._sent == before:
                await self._tell(send, ": still here\n\n", scope)

    async def _tell(self, send: Send, text: str, scope: anyio.CancelScope) -> None:
        with anyio.move_on_after(self._stalled) as patience:
            await self._write(send, text)
        if patience.cancelled_caught:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    async def _write(self, send: Send, text: str) -> None:
        async with self._sending:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            self._sent += 1

    async def _until_gone(self, receive: Receive, scope: anyio.CancelScope) -> None:
        # Who sends more than may be sent is not listened to any more.
        with suppress(TooLarge):
            while (await receive())["type"] != "http.disconnect":
                pass
        scope.cancel()


class EventReply(FollowReply):
    """A reply that follows a session's events until its reader leaves, or the session is closed.

    Args:
        session: The session.
        after: The number of the event after which it begins; None begins with what comes.
        turn: The turn at whose end it ends, too; empty for none.
        patience: What `FollowReply` takes beside.
    """

    def __init__(self, session: Chronicle, after: int | None, *, turn: str = "", **patience: float) -> None:
        @asynccontextmanager
        async def follow() -> AsyncIterator[AsyncIterator[str]]:
            async with session.stream.follow(after) as events:
                yield _until_end(events, turn)

        super().__init__(follow, **patience)


async def _until_end(events: AsyncIterator[Event], turn: str) -> AsyncIterator[str]:
    async for event in events:
        yield written(event)
        if isinstance(event, TurnFinished) and event.turn == turn:
            return
