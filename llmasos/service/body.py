"""The bodies of requests: none may be larger than the settings allow."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmasos.service.refusals import TooLarge, refused


class BodyLimit:
    """Refuses a body that is too large: before it is read where its size is announced, else as soon as it is.

    Args:
        app: What answers the request.
        most: The largest body in bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._most:
            await refused(scope["path"], TooLarge())(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise TooLarge
            return message

        await self._app(scope, counted, send)
