"""Endpoints for the tests of remote models."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from starlette.responses import Response

from llmasos.models.remote import Endpoint, Patience, RemoteChat, Spend
from tests.models.remote.server import Host, Server

QUICK = Patience(pause=0.001, longest=0.01)

Talking = Callable[..., AbstractAsyncContextManager[tuple[RemoteChat, Server]]]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A process that serves endpoints."""
    with Host() as host:
        yield host


@pytest.fixture
def talking(host: Host) -> Talking:
    """Returns a chat with an endpoint that gives these answers."""

    @asynccontextmanager
    async def talk(
        *answers: Response, patience: Patience = QUICK, spend: Spend | None = None
    ) -> AsyncGenerator[tuple[RemoteChat, Server]]:
        server = host.add(Server(*answers))
        chat = RemoteChat(Endpoint(server.url, "secret-key", patience), "m", spend=spend)
        try:
            yield chat, server
        finally:
            await chat.close()

    return talk
