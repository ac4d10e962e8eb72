"""Pages of a real server: their caps, redirects, encodings, and what a person named."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from llmasos.net import OutOfReach
from llmasos.net.fetch import Caps, Fetcher, FetchError, Page
from tests.net.network import FakeNetwork, http

pytestmark = pytest.mark.anyio

Answer = Callable[[str, anyio.abc.SocketStream], object]


class Server:
    """Answers each path with bytes, or as a function has it."""

    def __init__(self) -> None:
        self.port = 0
        self.pages: dict[str, bytes] = {}
        self.endless: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        async with client:
            try:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += await client.receive()
                path = head.split(b" ")[1].decode()
                self.asked.append(path)
                await client.send(self.pages.get(path, http("404 Not Found", b"nothing")))
                while more := self.endless.get(path):
                    await client.send(more)
                if path == "/silent":
                    await anyio.sleep_forever()
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    made.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, made.serve)
        yield made
        group.cancel_scope.cancel()


@asynccontextmanager
async def named(server: Server, **caps: float) -> AsyncIterator[Fetcher]:
    async with Fetcher(named=[server.url], caps=Caps(**caps)) as web:  # type: ignore[arg-type]
        yield web


def packed(data: bytes, times: int = 1) -> bytes:
    """Return data packed as gzip, over and over."""
    packer = zlib.compressobj(wbits=31)
    return b"".join([*(packer.compress(data) for _ in range(times)), packer.flush()])


async def test_a_page_says_what_it_is(server: Server) -> None:
    server.pages["/a?b"] = http(body="süß".encode("latin-1"), Content_Type="Text/Plain; charset=ISO-8859-1")
    async with named(server) as web:
        page = await web.get(f"{server.url}/a?b#c")
    assert page == Page(
        url=f"{server.url}/a?b#c",
        final_url=f"{server.url}/a?b",
        status=200,
        media_type="text/plain",
        charset="iso-8859-1",
        content="süß".encode("latin-1"),
        truncated=False,
    )
    assert page.text == "süß"


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-7", "rot13", "x" * 99, "cp999", '"'])
async def test_strange_charsets_are_read_as_utf8(server: Server, charset: str) -> None:
    server.pages["/"] = http(body="ä\\x41".encode() + b"\xff", Content_Type=f"text/html; charset={charset}")
    async with named(server) as web:
        assert (await web.get(server.url)).text == "ä\\x41\ufffd"


async def test_an_error_page_is_a_page(server: Server) -> None:
    async with named(server) as web:
        page = await web.get(f"{server.url}/lost")
    assert (page.status, page.content) == (404, b"nothing")


async def test_what_is_too_long_is_cut(server: Server) -> None:
    server.pages["/"] = http(body=b"a" * 5000)
    server.pages["/endless"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.endless["/endless"] = b"3e8\r\n" + b"b" * 1000 + b"\r\n"
    async with named(server, bytes=4000) as web:
        for path, letter in (("/", b"a"), ("/endless", b"b")):
            page = await web.get(server.url + path)
            assert page.truncated and page.content == letter * 4000


async def test_what_unpacks_to_too_much_is_cut(server: Server) -> None:
    bomb = packed(b"\0" * 2**20, 256)
    assert len(bomb) < 2**19
    server.pages["/bomb"] = http(body=bomb, Content_Encoding="gzip")
    server.pages["/twice"] = http(body=packed(bomb), Content_Encoding="gzip, gzip")
    server.pages["/fits"] = http(body=packed(b"text"), Content_Encoding="gzip")
    async with named(server) as web:
        page = await web.get(f"{server.url}/bomb")
        assert page.truncated and page.content == b"\0" * Caps().bytes
        with pytest.raises(FetchError, match="packed as 'gzip, gzip'"):
            await web.get(f"{server.url}/twice")
        assert (await web.get(f"{server.url}/fits")).text == "text"


@pytest.mark.parametrize(
    ("page", "endless"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b""),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["silence", "half", "hints"],
)
async def test_what_does_not_end_in_time_is_left(server: Server, page: bytes, endless: bytes) -> None:
    server.pages["/silent"], server.endless["/silent"] = page, endless
    async with named(server, seconds=0.2) as web:
        with pytest.raises(FetchError, match=r"more than 0\.2 seconds"):
            await web.get(f"{server.url}/silent")


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
async def test_what_is_no_http_is_an_error(server: Server, answer: bytes) -> None:
    server.pages["/"] = answer
    async with named(server) as web:
        with pytest.raises(FetchError, match="cannot be fetched"):
            await web.get(server.url)


async def test_redirects_are_followed_and_end(server: Server) -> None:
    server.pages["/a"] = http("301 Moved", Location="b")
    server.pages["/b"] = http("307 Moved", Location="/c#d")
    server.pages["/c"] = http(body=b"here")
    server.pages["/loop"] = http("302 Found", Location="/loop")
    async with named(server) as web:
        page = await web.get(f"{server.url}/a")
        assert (page.final_url, page.content) == (f"{server.url}/c", b"here")
        with pytest.raises(FetchError, match="redirects more than 5 times"):
            await web.get(f"{server.url}/loop")
    assert server.asked.count("/loop") == 6


async def test_what_a_person_named_leads_to_nothing_else_inside(server: Server) -> None:
    for place in (f"http://localhost:{server.port}/", "http://127.0.0.1/", "http://169.254.169.254/"):
        server.pages["/"] = http("302 Found", Location=place)
        async with named(server) as web:
            with pytest.raises(OutOfReach, match="may not be fetched from"):
                await web.get(server.url)
    assert server.asked == ["/"] * 3


async def test_strangers_do_not_lead_to_what_a_person_named() -> None:
    network = FakeNetwork(
        {"inside.test": [["10.0.0.1"]]}, lambda path: http("302 Found", Location="http://inside.test:8080/x")
    )
    async with Fetcher(named=["http://inside.test:8080"], resolver=network.resolve, backend=network) as web:
        with pytest.raises(OutOfReach, match="not named for that"):
            await web.get("http://open.test/")
    assert [port for _, port in network.reached] == [80]


async def test_https_does_not_lead_to_http() -> None:
    network = FakeNetwork(answer=lambda path: http("302 Found", Location="http://open.test/"))
    async with Fetcher(resolver=network.resolve, backend=network) as web:
        with pytest.raises(OutOfReach, match="from https:// to http://"):
            await web.get("https://open.test/")
    assert [port for _, port in network.reached] == [443]


async def test_cookies_are_not_kept() -> None:
    seen: list[bytes] = []
    network = FakeNetwork(answer=lambda path: http(Set_Cookie="a=b; Path=/"), heard=seen.append)
    async with Fetcher(resolver=network.resolve, backend=network) as web:
        await web.get("http://open.test/")
        await web.get("http://open.test/")
    assert len(seen) == 2 and not any(b"cookie" in head.lower() for head in seen)


async def test_a_proxy_of_the_environment_is_used_and_leads_nowhere_inside(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.pages["http://open.test/"] = http(body=b"by proxy")
    network = FakeNetwork({"inside.test": [["10.0.0.1"]]})
    async with Fetcher(resolver=network.resolve, backend=network) as web:
        assert (await web.get("http://open.test/")).content == b"by proxy"
        for url in ("http://10.0.0.1/", "http://inside.test/"):
            with pytest.raises(OutOfReach):
                await web.get(url)
    assert server.asked == ["http://open.test/"] and network.reached == []
