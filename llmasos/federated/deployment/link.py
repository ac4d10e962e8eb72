"""The program of a SuperLink: `python -m llmasos.federated.deployment.link SETTINGS PARENT`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from pydantic import BaseModel, ConfigDict

from llmasos.federated._flower import Call, make_link
from llmasos.federated.deployment.programs import begin

HEARTBEAT = 4.0
"""Seconds between two signs of life of a node; one that is silent for twice as long counts as gone."""

HOLD = 1.5
_LOOK = 0.02
_LARGEST = 256_000_000
"""Bytes of a request; Flower cuts arrays into pieces that are far smaller."""

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LinkSettings(BaseModel):
    """What a link is told.

    Args:
        host: The address that it listens on.
        port: Its port; 0 for any that is free.
        certificate: The file of its certificate.
        key: The file of its private key.
        nodes: The nodes' public keys (PEM), by their numbers.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    certificate: str
    key: str
    nodes: dict[int, str]


class Door:
    """An ASGI application over a link's calls. A request for messages is held until there is one.

    Args:
        calls: What the link answers, by paths.
        hold: Seconds that a request for messages is held.
    """

    def __init__(self, calls: Mapping[str, Call], hold: float = HOLD) -> None:
        self._calls = calls
        self._hold = hold

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            status, body = await self._answer(scope, receive)
            headers = [(b"content-type", b"application/x-protobuf"), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: MutableMapping[str, Any], receive: _Receive) -> tuple[int, bytes]:
        if scope["path"] == "/health":
            return 200, b""
        call = self._calls.get(scope["path"])
        if call is None or scope["method"] != "POST":
            return 404, b""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body = await _body(receive)
            answer = await to_thread.run_sync(call, headers, body)
            data, says = await to_thread.run_sync(answer)
            deadline = time.monotonic() + self._hold
            while not says and time.monotonic() < deadline:
                await anyio.sleep(_LOOK)
                data, says = answer()
        except PermissionError:
            return 401, b""
        except Exception as error:
            # Flower says no in many ways: a run that is over, a node that is there already.
            print(f"{scope['path']}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return 409, b""
        return 200, data


async def _body(receive: _Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _LARGEST:
            raise ValueError(f"a request has more than {_LARGEST} bytes")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return b"".join(parts)


def serve(settings: Path, tell: Callable[[dict[str, Any]], None]) -> None:
    """Serve until the parent ends.

    Raises:
        FederatedError: The port is taken.
    """
    import uvicorn

    from llmasos.federated.deployment.ports import listen

    told = LinkSettings.model_validate(json.loads(settings.read_text()))
    listening = listen(told.host, told.port)
    made = make_link({node: key.encode() for node, key in told.nodes.items()}, HEARTBEAT)
    server = uvicorn.Server(
        uvicorn.Config(
            Door(made.calls),
            ssl_certfile=told.certificate,
            ssl_keyfile=told.key,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=1,
            server_header=False,
            lifespan="off",
        )
    )
    tell({"run": made.run, "token": made.token, "port": listening.getsockname()[1]})
    server.run(sockets=[listening])


if __name__ == "__main__":
    sys.exit(begin(serve, sys.argv[1:]))
