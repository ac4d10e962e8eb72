"""Endpoints: one call from its body to its reply, which ends when its caller goes."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from llmasos.service.drain import Drain
from llmasos.service.openai.errors import ApiError, api_error
from llmasos.service.openai.identity import Caller, caller, request_id
from llmasos.service.openai.wire import B, Wire, parse

Json = dict[str, Any]

STALLED_SECONDS = 60.0
"""Seconds after which a caller that takes nothing is left."""


class Empty(Wire):
    """The body of calls that have none."""


class Reply:
    """What is sent back: one object, or server-sent events.

    Args:
        send: Sends to the caller; it waits while the caller does not read.
        name: The request's id.
    """

    def __init__(self, send: Send, name: str) -> None:
        self._send = send
        self._name = name
        self._began = time.monotonic()
        self._turn = anyio.Lock()
        self.started = False
        self.left = False
        self._ending = False

    async def whole(self, body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send one object."""
        self._ending = True
        content = _encoded(body)
        extra = {"content-length": str(len(content)), **(headers or {})}
        await self._start(status, "application/json", extra)
        await self._write(content, more=False)

    async def event(self, body: Json, name: str = "") -> None:
        """Send an event; the first one begins the stream."""
        async with self._turn:
            if not self.started:
                extra = {"cache-control": "no-cache", "x-accel-buffering": "no"}
                await self._start(200, "text/event-stream; charset=utf-8", extra)
            head = f"event: {name}\n".encode() if name else b""
            await self._write(head + b"data: " + _encoded(body) + b"\n\n", more=True)

    async def end(self, last: str = "") -> None:
        """End the stream, with a last line of data where there is one."""
        self._ending = True
        await self._write(f"data: {last}\n\n".encode() if last else b"", more=False)

    async def fail(self, error: ApiError) -> None:
        """Send an error; in a stream it is the last event, and nothing claims that the reply is whole."""
        if self._ending:
            return
        if self.started:
            await self.event(error.body())
            await self.end()
        else:
            await self.whole(error.body(), error.status, error.headers())

    async def _start(self, status: int, media_type: str, extra: Mapping[str, str]) -> None:
        headers = {
            "content-type": media_type,
            "x-request-id": self._name,
            "openai-processing-ms": str(round((time.monotonic() - self._began) * 1000)),
            **extra,
        }
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        self.started = True

    async def _write(self, content: bytes, *, more: bool) -> None:
        with anyio.move_on_after(0 if self.left else STALLED_SECONDS) as patience:
            await self._send({"type": "http.response.body", "body": content, "more_body": more})
        if patience.cancelled_caught:
            self.left = self._ending = True
            raise ClientDisconnect


@dataclass(frozen=True)
class Call(Generic[B]):
    """One call.

    Args:
        body: What was asked.
        caller: Who asked.
        reply: Where the answer goes.
        path: The parts of the path that vary.
    """

    body: B
    caller: Caller
    reply: Reply
    path: Mapping[str, str]


class Endpoint(Generic[B]):
    """Answers the calls of one route.

    Args:
        work: Answers a call.
        body: What the body must be.
        drain: Ends the replies that are left at a stop.
    """

    def __init__(self, work: Callable[[Call[B]], Awaitable[None]], body: type[B], drain: Drain) -> None:
        self.body = body
        self._work = work
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        request = Request(scope, receive)
        name = request_id(request)
        reply = Reply(send, name)
        try:
            content = await request.body()
            call = Call(
                Empty() if self.body is Empty else parse(content, self.body),
                caller(request, name),
                reply,
                request.path_params,
            )
        except ApiError as error:
            await reply.fail(error)
            return
        except ClientDisconnect:
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
            await self._answer(call)
            tasks.cancel_scope.cancel()

    async def _answer(self, call: Call[Any]) -> None:
        failed: ApiError | None = None
        with self._drain.reply() as scope:
            try:
                with anyio.fail_after(call.caller.client.seconds):
                    await self._work(call)
            except Exception as error:
                if call.reply.left:
                    return
                failed = api_error(error)
                if failed.refusal and call.caller.access is not None:
                    await call.caller.access.refused(failed.refusal)
        if scope.cancelled_caught:
            failed = ApiError(503, "The kernel stopped before the reply ended.", code="service_unavailable")
        if failed is not None:
            await call.reply.fail(failed)


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _encoded(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
