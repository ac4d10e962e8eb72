"""Running a help desk until it is stopped."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from starlette.applications import Starlette

from llmasos import paths
from llmasos.client import AsyncClient
from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.support.answers import KernelAnswers
from llmasos.support.app import make_app
from llmasos.support.conversations import Conversation, Conversations
from llmasos.support.desk import Desk

if TYPE_CHECKING:
    import uvicorn

_BACKLOG = 128
_MOST_CONNECTIONS = 500
_IDLE_SECONDS = 10


def serve_desk(desk: Desk, say: Callable[[str], None]) -> None:
    """Serve a help desk until Ctrl-C.

    Args:
        desk: The desk.
        say: Tells the owner where it is, and who waits for a person.

    Raises:
        LLMasOSError: There are no such documents, or the address is taken.
    """
    anyio.run(_serve, desk, say)


async def _serve(desk: Desk, say: Callable[[str], None]) -> None:
    place = paths.private_dir(paths.data_dir() / "support" / desk.collection)
    async with AsyncClient(name="support") as client:
        await client.documents(desk.collection)
        listener = _listener(desk)
        key = _key(place / "desk.key")
        url = f"http://{desk.host}:{listener.getsockname()[1]}"
        conversations = Conversations(place / "conversations.sqlite")
        answers = KernelAnswers(client, desk.collection, paths.private_dir(place / "empty"), desk.at_once)

        def waiting(conversation: Conversation) -> None:
            last = next((one.text for one in reversed(conversation.messages) if one.author == "visitor"), "")
            say(f"Somebody waits for a person: {display(' '.join(last.split()))[:100]}")

        app = make_app(desk, answers, conversations, key, waiting)
        say(f"Visitors ask at {url}, or POST {url}/chat. The desk, which is yours: {url}/desk#{key}")
        for conversation in conversations.waiting():
            waiting(conversation)
        with listener:
            await make_server(app).serve(sockets=[listener])


def make_server(app: Starlette) -> uvicorn.Server:
    """Return a server of the desk's application, which no visitor can keep busy alone."""
    import uvicorn

    options: dict[str, Any] = {"http": "h11", "ws": "none", "lifespan": "off", "log_config": None}
    limits: dict[str, Any] = {
        "limit_concurrency": _MOST_CONNECTIONS,
        "timeout_keep_alive": _IDLE_SECONDS,
        "timeout_graceful_shutdown": 2,
    }
    return uvicorn.Server(uvicorn.Config(app, access_log=False, proxy_headers=False, **options, **limits))


def _listener(desk: Desk) -> socket.socket:
    family = socket.AF_INET6 if ":" in desk.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((desk.host, desk.port))
    except OSError as error:
        listener.close()
        raise LLMasOSError(
            f"{desk.host}:{desk.port} cannot be listened on: {error.strerror}.", hint="Choose another --port."
        ) from None
    listener.listen(_BACKLOG)
    return listener


def _key(path: Path) -> str:
    """Return the key of the desk, made at its first start."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()
