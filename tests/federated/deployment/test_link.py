"""The door of a link: what it lets through, and how long it holds a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx
import pytest

from llmasos.federated._flower import Answer
from llmasos.federated.deployment import link
from llmasos.federated.deployment.link import Door

pytestmark = pytest.mark.anyio

_ASK = "/v1/fleet/pull-messages"


def door(answer: Callable[[], tuple[bytes, bool]], hold: float = 60.0) -> httpx.AsyncClient:
    def call(headers: Mapping[str, str], body: bytes) -> Answer:
        if headers.get("who") != "node":
            raise PermissionError("nobody known")
        if body == b"damaged":
            raise ValueError("the request is damaged")
        return answer

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Door({_ASK: call}, hold)),
        base_url="https://link",
        headers={"who": "node"},
    )


async def test_only_what_is_needed_is_let_through() -> None:
    async with door(lambda: (b"hello", True)) as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.post(_ASK)).content == b"hello"
        for path in (
            "/v1/control/start-run",
            "/v1/control/register-node",
            "/docs",
            "/v1/runtime/acquire-task",
        ):
            assert (await client.post(path)).status_code == 404
        assert (await client.get(_ASK)).status_code == 404
        assert (await client.post(_ASK, headers={"who": "stranger"})).status_code == 401
        assert (await client.post(_ASK, content=b"damaged")).status_code == 409


async def test_a_request_is_held_until_there_is_something_to_say() -> None:
    answers = iter([(b"", False), (b"", False), (b"message", True)])
    async with door(lambda: next(answers)) as client:
        assert (await client.post(_ASK)).content == b"message"


async def test_a_request_is_not_held_without_an_end() -> None:
    async with door(lambda: (b"", False), hold=0.0) as client:
        reply = await client.post(_ASK)
        assert (reply.status_code, reply.content) == (200, b"")


async def test_a_request_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_LARGEST", 10)
    async with door(lambda: (b"hello", True)) as client:
        assert (await client.post(_ASK, content=b"0" * 11)).status_code == 409
