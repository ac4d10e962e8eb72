"""The program of a SuperLink: `python -m llmasos.federated.deployment.link SETTINGS PARENT`."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from llmasos.federated.deployment.programs import begin

HEARTBEAT = 4.0
"""Seconds between two signs of life of a node; one that is silent for twice as long counts as gone."""

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


class Gate:
    """Lets only what nodes and the run's server need through to a SuperLink.

    Args:
        app: The SuperLink, an ASGI application.
        paths: What is let through.
    """

    def __init__(self, app: Any, paths: frozenset[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in self._paths):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})


def serve(settings: Path, tell: Callable[[dict[str, Any]], None]) -> None:
    """Serve until the parent ends.

    Raises:
        FederatedError: The port is taken.
    """
    import uvicorn

    from llmasos.federated._flower import OPEN_PATHS, link_app
    from llmasos.federated.deployment.ports import listen

    told = LinkSettings.model_validate(json.loads(settings.read_text()))
    listening = listen(told.host, told.port)
    made = link_app({node: key.encode() for node, key in told.nodes.items()}, HEARTBEAT)
    server = uvicorn.Server(
        uvicorn.Config(
            Gate(made.app, OPEN_PATHS),
            ssl_certfile=told.certificate,
            ssl_keyfile=told.key,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
    )
    tell({"run": made.run, "token": made.token, "port": listening.getsockname()[1]})
    server.run(sockets=[listening])


if __name__ == "__main__":
    sys.exit(begin(serve, sys.argv[1:]))
