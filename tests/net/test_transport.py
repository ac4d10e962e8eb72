"""Clients over checked connections, for code that waits and code that blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import httpcore2
import httpx2
import pytest

from llmasos.net import OutOfReach, Reach
from llmasos.net.transport import BlockingTransport, CheckedTransport, checked_client, checked_client_now
from tests.net.network import PUBLIC, FakeNetwork, http

PRIVATE = "10.0.0.1"


class BlockingNetwork(httpcore2.MockBackend):
    """Every address answers with the same; it is noted which were reached."""

    def __init__(self, answer: bytes) -> None:
        super().__init__([answer])
        self.reached: list[str] = []

    def connect_tcp(self, host: str, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
        self.reached.append(host)
        return super().connect_tcp(host, *arguments, **options)


def resolver(*answers: Sequence[str]) -> Any:
    left = list(answers)
    return lambda name, port: left.pop(0)


def test_blocking_code_connects_to_what_was_checked() -> None:
    network = BlockingNetwork(http(body=b"text"))
    transport = BlockingTransport(Reach(), resolver=resolver([PUBLIC], [PRIVATE]), backend=network)
    with httpx2.Client(transport=transport) as client:
        assert client.get("http://open.test/", headers={"Connection": "close"}).content == b"text"
    assert network.reached == [PUBLIC]


@pytest.mark.parametrize(
    "url", ["http://open.test/", f"http://{PRIVATE}/", "http://127.1/", "http://open.test:22/"]
)
def test_blocking_code_does_not_reach_inside(url: str) -> None:
    network = BlockingNetwork(http())
    transport = BlockingTransport(Reach(), resolver=resolver([PUBLIC, PRIVATE]), backend=network)
    with httpx2.Client(transport=transport) as client, pytest.raises(OutOfReach):
        client.get(url)
    assert network.reached == []


def test_blocking_code_is_told_of_a_name_that_nobody_knows() -> None:
    transport = BlockingTransport(Reach(), resolver=resolver([]), backend=BlockingNetwork(http()))
    with httpx2.Client(transport=transport) as client, pytest.raises(httpx2.ConnectError):
        client.get("http://open.test/")


def test_blocking_code_follows_no_redirect_to_plain_http() -> None:
    answer = httpx2.Response(302, headers={"Location": "http://open.test/"})
    with checked_client_now(Reach()) as client:
        client._transport = httpx2.MockTransport(lambda request: answer)
        with pytest.raises(OutOfReach, match="from https:// to http://"):
            client.get("https://open.test/")


@pytest.mark.parametrize(
    ("named", "host", "port"),
    [
        ("http://localhost:8000/v1", "localhost", 8000),
        ("http://LocalHost:8000", "localhost", 8000),
        ("https://inside.test", "inside.test", 443),
        ("http://inside.test./x", "inside.test", 80),
        ("http://user:key@inside.test:81/", "inside.test", 81),
        ("http://[::1]:8545", "::1", 8545),
        ("http://127.1:8545", "127.1", 8545),
        ("http://bücher.test", "xn--bcher-kva.test", 80),
        ("inside.test:9000", "inside.test", 9000),
        ("inside.test", "inside.test", 443),
    ],
)
def test_what_a_person_named_is_reached_as_it_is_named(named: str, host: str, port: int) -> None:
    reach = Reach([named])
    assert reach.names(host, port)
    assert not reach.names(host, port + 1) and not reach.names("other.test", port)
    assert not reach.leads(host, port) and Reach(led_to=[named]).leads(host, port)


@pytest.mark.parametrize("named", ["", "http://", "http://[", "http://a:b:c", "http://a:99999", "://"])
def test_a_name_that_is_none_opens_nothing(named: str) -> None:
    reach = Reach([named])
    for host in ("", "a", "localhost", "127.0.0.1"):
        assert not reach.names(host, 80)


def test_waiting_code_reaches_what_was_named_and_nothing_else() -> None:
    network = FakeNetwork({"inside.test": [[PRIVATE]]})

    async def run() -> None:
        reach = Reach(["http://inside.test:8000"])
        transport = CheckedTransport(reach, resolver=network.resolve, backend=network)
        async with httpx2.AsyncClient(transport=transport) as client:
            assert (await client.get("http://inside.test:8000/")).status_code == 200
            for url in ("http://inside.test/", "http://inside.test:8001/", f"http://{PRIVATE}:8000/"):
                with pytest.raises(OutOfReach):
                    await client.get(url)

    anyio.run(run)
    # A name that a person gave is left to the system's resolver.
    assert network.reached == [("inside.test", 8000)] and "inside.test" in network.asked


def test_errors_are_those_of_the_library() -> None:
    async def run() -> None:
        network = FakeNetwork(down=True)
        transport = CheckedTransport(Reach(), resolver=network.resolve, backend=network)
        async with httpx2.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx2.ConnectError):
                await client.get("http://open.test/")
        async with checked_client(Reach(["http://127.0.0.1:9"])) as client:
            with pytest.raises(httpx2.ConnectError):
                await client.get("http://127.0.0.1:9/")

    anyio.run(run)
