"""Requests and replies as JSON, whole or line by line."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

import anyio
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from llmasos.api import ErrorBody
from llmasos.errors import LLMasOSError

_log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)

NDJSON = "application/x-ndjson"
_LISTS = ("kinds",)
_WAITING_LINES = 64


async def body(request: Request, model: type[M]) -> M:
    """Return a request's body."""
    return model.model_validate_json(await request.body() or b"{}")


def query(request: Request, model: type[M]) -> M:
    """Return a request's query; what may be given several times becomes a list."""
    given: dict[str, object] = dict(request.query_params)
    given |= {name: request.query_params.getlist(name) for name in _LISTS if name in given}
    return model.model_validate(given)


def reply(value: BaseModel | Iterable[BaseModel], status: int = 200) -> Response:
    """Return an object, or a list of them, as a reply."""
    if isinstance(value, BaseModel):
        content = value.model_dump_json()
    else:
        # Each as its own type writes it: names of files that are no UTF-8 have a form of their own.
        content = f"[{','.join(each.model_dump_json() for each in value)}]"
    return Response(content, status_code=status, media_type="application/json")


def refusal(status: int, error: ErrorBody) -> JSONResponse:
    """Return the reply to a request that is refused."""
    return JSONResponse(error.model_dump(), status_code=status)


def explained(error: Exception) -> ErrorBody:
    """Return an error in words; one that nobody foresaw goes to the log with its details."""
    if isinstance(error, LLMasOSError):
        return ErrorBody(code=error.code, message=error.message, hint=error.hint)
    _log.exception("a request failed", exc_info=error)
    message = f"The kernel failed ({type(error).__name__})."
    return ErrorBody(code="internal", message=message, hint="Its log has the details.")


async def streamed(pieces: AsyncIterator[str], media_type: str) -> Response:
    """Return a reply that is sent piece by piece; what fails before the first one is an ordinary refusal."""
    first = await anext(pieces, "")

    async def all_pieces() -> AsyncIterator[str]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(all_pieces(), media_type=media_type)


class ProgressReply(Response):
    """A reply whose lines tell how far work is, and at last what came of it; it ends with its reader.

    Args:
        work: Does it; it is given a function that sends a line, and returns the last one.
        failed: Makes the last line of work that failed.
    """

    def __init__(
        self,
        work: Callable[[Callable[[BaseModel], None]], Awaitable[BaseModel]],
        failed: Callable[[ErrorBody], BaseModel],
    ) -> None:
        super().__init__(media_type=NDJSON)
        del self.headers["content-length"]
        self._work = work
        self._failed = failed
        self._sender, self._lines = anyio.create_memory_object_stream[BaseModel](_WAITING_LINES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and send its lines."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_gone, receive, tasks.cancel_scope)
            tasks.start_soon(self._carry_out)
            async with self._lines:
                async for line in self._lines:
                    content = f"{line.model_dump_json(exclude_none=True)}\n".encode()
                    await send({"type": "http.response.body", "body": content, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()

    async def _carry_out(self) -> None:
        async with self._sender:
            try:
                last = await self._work(self._tell)
            except Exception as error:
                last = self._failed(explained(error))
            await self._sender.send(last)

    def _tell(self, line: BaseModel) -> None:
        try:
            self._sender.send_nowait(line)
        except anyio.WouldBlock:
            # A reader that is slow misses some of the progress.
            return

    async def _until_gone(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()
