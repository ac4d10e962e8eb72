"""An endpoint on this machine that behaves as it is told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any, Self

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def piece(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return one event of a chat."""
    return {"id": "1", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish, **more}]}


def usage(read: Any = 5, written: Any = 2, **more: Any) -> dict[str, Any]:
    """Return the event that tells the usage."""
    return {"choices": [], "usage": {"prompt_tokens": read, "completion_tokens": written, **more}}


HELLO = (
    piece({"role": "assistant", "content": "he"}),
    piece({"content": "llo"}),
    piece(finish="stop"),
    usage(),
)


def sent(*events: Any, done: bool = True) -> bytes:
    """Return events as they are sent."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {text}\n\n" for text in [*texts, *(["[DONE]"] if done else [])]).encode()


def streamed(*events: Any, done: bool = True) -> Response:
    """Return a whole stream."""
    return Response(sent(*events, done=done), media_type="text/event-stream")


def broken_off(*events: Any) -> Response:
    """Return a stream whose connection breaks after these events."""

    async def body() -> AsyncIterator[bytes]:
        yield sent(*events, done=False)
        # What was sent arrives before the connection breaks.
        await anyio.lowlevel.checkpoint()
        raise ConnectionResetError

    return StreamingResponse(body(), media_type="text/event-stream")


def stalled(*events: Any) -> Response:
    """Return a stream that goes silent after these events."""

    async def body() -> AsyncIterator[bytes]:
        yield b": one moment\n\n" + sent(*events, done=False)
        await anyio.sleep_forever()

    return StreamingResponse(body(), media_type="text/event-stream")


class Server:
    """Answers with the given answers in turn, the last one again and again, and keeps what was asked."""

    def __init__(self, *answers: Response) -> None:
        self.url = ""
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.models: Response = JSONResponse({"data": [{"id": "m", "max_model_len": 4096}]})

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        self.paths.append(request.path_params["path"])
        if request.method == "GET":
            return self.models
        self.headers.append(dict(request.headers))
        self.asked.append(json.loads(await request.body()))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Host:
    """Runs servers in one process, each under a path of its own."""

    def __init__(self) -> None:
        self._servers: list[Server] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        route = Route("/{number:int}/v1/{path:path}", self._answer, methods=["GET", "POST"])
        app = Starlette(routes=[route])
        config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> Self:
        self._listener.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._uvicorn.should_exit = self._uvicorn.force_exit = True
        self._thread.join()
        self._listener.close()

    def add(self, server: Server) -> Server:
        """Give a server its URL."""
        server.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/{len(self._servers)}/v1"
        self._servers.append(server)
        return server

    async def _answer(self, request: Request) -> Response:
        server: Server = self._servers[request.path_params["number"]]
        return await server.answer(request)
