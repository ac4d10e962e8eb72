"""The proxy for egress: named hosts are reached, and every way round the list is refused."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio
import anyio.abc
import pytest

from llmasos.errors import ConfigError
from llmasos.net import is_own, is_public
from llmasos.sandbox.egress import Egress, EgressLimits, proxy_environment
from llmasos.sandbox.egress.client_hello import HelloError, server_name

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.216.34"
HOSTS = [
    "example.org",
    "*.example.net",
    "files.example.org:8080",
    "ssh.example.org:22",
    "203.0.114.7",
    PUBLIC,
]
LIMITS = EgressLimits(connections=4, head_bytes=4096)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


class Network:
    """A pretended internet: names with addresses, and one server behind all of them."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.addresses: dict[str, list[list[str]]] = {}
        self.resolved: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.answer = ANSWER
        self.waits_for = b"\r\n\r\n"
        self._ended, self._endings = anyio.create_memory_object_stream[bytes](100)

    async def resolve(self, name: str, port: int) -> Sequence[str]:
        self.resolved.append(name)
        answers = self.addresses.get(name, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def dial(self, address: str, port: int) -> anyio.abc.ByteStream:
        self.dialled.append((address, port))
        return await anyio.connect_unix(self.socket)

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer once what `waits_for` says was heard, and hear the rest."""
        heard = b""
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while self.waits_for not in heard:
                    heard += await stream.receive()
                await stream.send(self.answer)
                await stream.send_eof()
                async for piece in stream:
                    heard += piece
        self._ended.send_nowait(heard)

    async def heard(self) -> bytes:
        """Return all that the server heard in the next connection that ended."""
        return await self._endings.receive()

    def close(self) -> None:
        self._ended.close()
        self._endings.close()


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    network = Network(tmp_path / "server")
    listener = await anyio.create_unix_listener(network.socket)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, network.serve)
        yield network
        group.cancel_scope.cancel()
    network.close()


class Proxy:
    """The proxy under test, and what it refused."""

    def __init__(self, network: Network, path: Path, limits: EgressLimits = LIMITS) -> None:
        self.path = path
        self.refused: list[tuple[str, int, str]] = []
        self.egress = Egress(
            HOSTS,
            resolver=network.resolve,
            dial=network.dial,
            on_refused=lambda *what: self.refused.append(what),
            limits=limits,
        )

    async def ask(self, *pieces: bytes) -> bytes:
        """Say something, and return all that comes back."""
        async with await anyio.connect_unix(self.path) as stream:
            return await converse(stream, *pieces)


async def converse(stream: anyio.abc.SocketStream, *pieces: bytes) -> bytes:
    """Say pieces, each after the answer to the one before, and return all that comes back."""
    heard = b""
    with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
        for piece in pieces[:-1]:
            await stream.send(piece)
            heard += await stream.receive()
        await stream.send(pieces[-1])
    with suppress(anyio.BrokenResourceError):
        async for answer in stream:
            heard += answer
    return heard


@pytest.fixture
async def proxy(network: Network, tmp_path: Path) -> AsyncIterator[Proxy]:
    proxy = Proxy(network, tmp_path / "proxy")
    async with proxy.egress.listen(proxy.path):
        yield proxy


def get(target: str, *headers: str, host: str | None = None) -> bytes:
    """Return a request, with the Host header that belongs to its target."""
    if host is None:
        host = target.partition("//")[2].partition("/")[0]
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def connect(target: str, *headers: str) -> bytes:
    """Return a request for a tunnel."""
    return ("\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers]) + "\r\n\r\n").encode()


def hello(name: str | None) -> bytes:
    """Return the ClientHello that Python's TLS sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    sent = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return sent.read()


def changed_extensions(*more: tuple[int, bytes], keep: bool = True) -> bytes:
    """Return a ClientHello of a pretended client with these extensions after the name of example.org."""
    extensions = [*([name_extension(b"example.org")] if keep else []), *more]
    listed = b"".join(kind.to_bytes(2) + len(data).to_bytes(2) + data for kind, data in extensions)
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + len(listed).to_bytes(2) + listed
    return record(b"\x01" + len(body).to_bytes(3) + body)


def name_extension(*names: bytes) -> tuple[int, bytes]:
    listed = b"".join(b"\0" + len(name).to_bytes(2) + name for name in names)
    return 0, len(listed).to_bytes(2) + listed


def record(handshake: bytes) -> bytes:
    return b"\x16\x03\x01" + len(handshake).to_bytes(2) + handshake


async def test_an_allowed_host_is_reached(proxy: Proxy, network: Network) -> None:
    answer = await proxy.ask(get("http://example.org/simple/?q=1", "Accept: */*", "Proxy-Authorization: x"))
    assert answer == ANSWER
    assert network.dialled == [(PUBLIC, 80)]
    heard = await network.heard()
    assert heard.lower().splitlines() == [
        b"get /simple/?q=1 http/1.1",
        b"host: example.org",
        b"accept: */*",
        b"connection: close",
        b"",
    ]
    assert proxy.egress.sent == len(heard)
    assert proxy.egress.received == len(ANSWER)
    assert not proxy.refused


@pytest.mark.parametrize(
    ("request_", "port"),
    [
        (get("http://Example.org./", host="example.ORG"), 80),
        (get("HTTP://deb.example.net/"), 80),
        (get("http://a.b.example.net:80/", host="a.b.example.net"), 80),
        (get("http://files.example.org:8080/"), 8080),
        (get("http://example.org:443"), 443),
        (get("http://example.org?x", host="example.org"), 80),
        (get(f"http://{PUBLIC}/"), 80),
        (b"GET http://example.org/ HTTP/1.0\r\n\r\n", 80),
    ],
)
async def test_ways_to_write_an_allowed_host(
    proxy: Proxy, network: Network, request_: bytes, port: int
) -> None:
    assert await proxy.ask(request_) == ANSWER
    assert network.dialled == [(PUBLIC, port)]


async def test_a_tunnel_to_an_allowed_host_is_opened(proxy: Proxy, network: Network) -> None:
    first = network.waits_for = hello("example.org")
    answer = await proxy.ask(connect("example.org:443"), first)
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n" + ANSWER
    assert await network.heard() == first
    assert network.dialled == [(PUBLIC, 443)]


async def test_a_hello_may_come_early_or_in_pieces(proxy: Proxy, network: Network) -> None:
    first = network.waits_for = hello("example.org")
    assert ANSWER in await proxy.ask(connect("example.org:443") + first)
    async with await anyio.connect_unix(proxy.path) as stream:
        await stream.send(connect("example.org:443"))
        await stream.receive()
        for byte in first[:-1]:
            await stream.send(bytes([byte]))
        assert await converse(stream, first[-1:]) == ANSWER


async def test_a_tunnel_to_another_port_may_carry_another_protocol(proxy: Proxy, network: Network) -> None:
    network.waits_for = b""
    network.answer = b"SSH-2.0-server\r\n"
    assert network.answer in await proxy.ask(connect("ssh.example.org:22"), b"SSH-2.0-client\r\n")


async def test_a_body_arrives_whole_and_nothing_after_it(proxy: Proxy, network: Network) -> None:
    smuggled = get("http://example.org/", host="evil.example")
    request = b"POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\n"
    network.waits_for = b"hello"
    await proxy.ask(request + b"Content-Length: 5\r\n\r\nhello" + smuggled)
    assert (await network.heard()).endswith(b"\r\n\r\nhello")
    chunks = b"Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    network.waits_for = b"\r\n0\r\n\r\n"
    await proxy.ask(request + chunks + smuggled)
    assert (await network.heard()).endswith(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(proxy: Proxy, network: Network) -> None:
    head = b"PUT http://example.org/ HTTP/1.1\r\nHost: example.org\r\n"
    head += b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    network.waits_for = b"hi"
    answer = await proxy.ask(head, b"hi")
    assert answer.startswith(b"HTTP/1.1 100") and answer.endswith(ANSWER)
    assert b"xpect" not in await network.heard()


async def test_a_redirect_is_a_new_request_and_is_checked(proxy: Proxy, network: Network) -> None:
    network.answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    assert await proxy.ask(get("http://example.org/")) == network.answer
    assert (await proxy.ask(get("http://169.254.169.254/"))).startswith(b"HTTP/1.1 403")
    assert len(network.dialled) == 1


NAMES = [
    "evil.example",
    "example.org.evil.example",
    "evilexample.org",
    "sub.example.org",
    "example.net",
    "notexample.net",
    ".example.net",
    "a..example.net",
    "-a.example.net",
    "example.org..",
    "example%2eorg",
    "example.org%00.evil.example",
    "example.org%23.evil.example",
    "*.example.net",
    "localhost",
    "LOCALHOST.",
    "metadata.google.internal",
    "host.docker.internal",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "169.254.169.254",
    "0xa9fea9fe",
    "100.100.100.200",
    "10.0.0.1",
    "172.17.0.1",
    "192.168.0.1",
    "93.184.55330",
    "0135.184.216.34",
    "93.184.216.34.evil.example",
    "8.8.8.8",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:93.184.216.34]",
    "[fd00:ec2::254]",
    "[fe80::1%25eth0]",
    "[64:ff9b::7f00:1]",
    "[example.org]",
    "user@example.org",
    "example.org@evil.example",
    "user:secret@evil.example",
    "example.org:80@evil.example",
    "example.org\\@evil.example",
    "example.org\\.evil.example",
    "example.org:22",
    "example.org:0",
    "example.org:080",
    "example.org:65616",
    "example.org:-80",
    "example.org:80:80",
    "example.org:",
    "files.example.org",
    "x" * 64 + ".example.net",
    "x." * 130 + "example.net",
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_is_not_allowed_is_refused(proxy: Proxy, network: Network, name: str) -> None:
    asked = get(f"http://{name}/", host=name)
    tunnelled = connect(name if name.rpartition(":")[2].isdigit() else f"{name}:443")
    for request in (asked, tunnelled):
        answer = await proxy.ask(request)
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert b"LLMASOS_SANDBOX_HOSTS" in answer
    assert not network.dialled
    assert not network.resolved
    assert len(proxy.refused) == 2


HEAD = b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n"
REQUESTS = {
    "another host header": get("http://example.org/", host="evil.example"),
    "another port in the host header": get("http://example.org/", host="example.org:8080"),
    "a broken host header": get("http://example.org/", host="example.org evil.example"),
    "a user in the host header": get("http://example.org/", host="x@example.org"),
    "two host headers": HEAD + b"Host: evil.example\r\n\r\n",
    "no host header": b"GET http://example.org/ HTTP/1.1\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a length and chunks": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and something else": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n",
    "chunks in disguise": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
    "a blank before the colon": HEAD + b"X : y\r\n\r\n",
    "a bare return in a header": HEAD + b"X: y\rHost: evil.example\r\n\r\n",
    "a null in a header": HEAD + b"X: \0\r\n\r\n",
    "a blank in the target": b"GET http://example.org/ x HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a line in the target": b"GET http://example.org/\r\nHost: x HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "https by absolute form": get("https://example.org/"),
    "another scheme": get("ftp://example.org/"),
    "a file": get("file:///etc/passwd", host="example.org"),
    "three slashes": get("http:///example.org/", host="example.org"),
    "no scheme": get("//example.org/", host="example.org"),
    "origin form": get("/", host="example.org"),
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a fragment": get("http://example.org/#@evil.example/"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version": b"GET http://example.org/ HTTP/3.0\r\nHost: example.org\r\n\r\n",
    "HTTP/0.9": b"GET http://example.org/\r\n\r\n",
    "TLS to the proxy": hello("example.org"),
    "SOCKS": b"\x05\x01\x00\r\n\r\n",
    "a tunnel with another host header": (
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"
    ),
    "a tunnel with a body": connect("example.org:443", "Content-Length: 5") + b"hello",
    "a tunnel without a port": connect("example.org"),
    "a tunnel to a URL": b"CONNECT http://example.org:443/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a tunnel for plain HTTP": connect("example.org:80"),
    "a head that is too long": HEAD + b"X: " + b"x" * 8192,
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_crooked_request_is_refused(proxy: Proxy, network: Network, request_: bytes) -> None:
    answer = await proxy.ask(request_)
    assert answer.partition(b" ")[2][:3] in (b"400", b"403", b"431", b"501"), answer
    assert not network.dialled


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.31.0.1",
        "192.168.1.1",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "192.88.99.1",
        "168.63.129.16",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "2606:4700::5efe:7f00:1",
        "not an address",
    ],
)
async def test_a_name_with_an_address_that_is_not_public_is_refused(
    proxy: Proxy, network: Network, address: str
) -> None:
    assert not is_public(address)
    network.addresses["example.org"] = [[PUBLIC, address]]
    answer = await proxy.ask(get("http://example.org/"))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert not network.dialled
    assert proxy.refused == [("example.org", 80, f"its address {address} is not on the open internet")]


def test_public_addresses_are_public() -> None:
    for address in (PUBLIC, "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"):
        assert is_public(address), address


def test_this_machines_addresses_are_its_own() -> None:
    assert is_own("127.0.0.1")
    assert not is_own(PUBLIC)


async def test_a_name_is_resolved_once_for_each_connection(proxy: Proxy, network: Network) -> None:
    network.addresses["example.org"] = [[PUBLIC], ["127.0.0.1"]]
    assert await proxy.ask(get("http://example.org/")) == ANSWER
    assert network.dialled == [(PUBLIC, 80)]
    assert (await proxy.ask(get("http://example.org/"))).startswith(b"HTTP/1.1 403 ")
    assert network.resolved == ["example.org", "example.org"]


async def test_a_name_without_an_address_is_told(proxy: Proxy, network: Network) -> None:
    network.addresses["example.org"] = [[]]
    assert b"502" in await proxy.ask(get("http://example.org/"))
    assert not proxy.refused


async def test_the_next_address_is_tried_when_one_does_not_answer(tmp_path: Path, network: Network) -> None:
    async def dial(address: str, port: int) -> anyio.abc.ByteStream:
        if address == PUBLIC:
            raise ConnectionRefusedError
        return await network.dial(address, port)

    network.addresses["example.org"] = [[PUBLIC, "93.184.216.35"]]
    egress = Egress(["example.org"], resolver=network.resolve, dial=dial)
    async with egress.listen(tmp_path / "p"), await anyio.connect_unix(tmp_path / "p") as stream:
        assert await converse(stream, get("http://example.org/")) == ANSWER


TUNNELS = {
    "another name": hello("evil.example"),
    "a name below": hello("sub.example.org"),
    "no name": hello(None),
    "two names": changed_extensions(name_extension(b"evil.example")),
    "two names in one list": changed_extensions(name_extension(b"example.org", b"evil.example"), keep=False),
    "a name that ends with a null": changed_extensions(name_extension(b"example.org\0"), keep=False),
    "a name in another alphabet": changed_extensions(name_extension("pyрi.org".encode()), keep=False),
    "a name of another kind": changed_extensions((0, b"\0\x0b\x01\0\x08example.org"), keep=False),
    "a name list that lies": changed_extensions((0, b"\0\xff\0\0\x08example.org"), keep=False),
    "an encrypted hello": changed_extensions((0xFE0D, b"x")),
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "SSH": b"SSH-2.0-client\r\n",
    "an old hello": b"\x80\x2e\x01\x03\x01" + bytes(41),
    "another version of records": b"\x16\x02\x00\x00\x01\x01",
    "another message": record(b"\x02\x00\x00\x01\x00"),
    "an alert": b"\x15\x03\x01\x00\x02\x01\x00",
    "an empty record": b"\x16\x03\x01\x00\x00",
    "a hello that is too large": record(b"\x01\xff\xff\xff"),
    "more after the hello": record(changed_extensions()[5:] + b"\x01\x00\x00\x00"),
    "a hello in pieces for another name": b"".join(
        record(bytes([byte])) for byte in hello("evil.example")[5:]
    ),
}


@pytest.mark.parametrize("first", TUNNELS.values(), ids=TUNNELS.keys())
async def test_a_tunnel_that_is_not_what_it_was_asked_for_is_ended(
    proxy: Proxy, network: Network, first: bytes
) -> None:
    answer = await proxy.ask(connect("example.org:443"), first)
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n\x15\x03\x01\x00\x02\x02\x70"
    assert await network.heard() == b""
    ((host, port, _),) = proxy.refused
    assert (host, port) == ("example.org", 443)


async def test_tls_is_checked_on_every_port(proxy: Proxy, network: Network) -> None:
    await proxy.ask(connect("ssh.example.org:22"), hello("evil.example"))
    assert await network.heard() == b""
    assert [host for host, _, _ in proxy.refused] == ["ssh.example.org"]


async def test_an_address_that_was_allowed_takes_tls_without_a_name(proxy: Proxy, network: Network) -> None:
    first = network.waits_for = hello(None)
    assert ANSWER in await proxy.ask(connect(f"{PUBLIC}:443"), first)
    assert not proxy.refused


def test_a_hello_is_read_whatever_its_pieces() -> None:
    data = changed_extensions()
    assert server_name(data) == "example.org"
    assert all(server_name(data[:end]) is None for end in range(len(data)))
    pieces = b"".join(record(data[at : at + 7]) for at in range(5, len(data), 7))
    assert server_name(pieces) == "example.org"
    with pytest.raises(HelloError, match="malformed"):
        server_name(record(b"\x01\x00\x00\x05hello"))


async def test_a_slow_head_is_ended(network: Network, tmp_path: Path) -> None:
    proxy = Proxy(network, tmp_path / "p", EgressLimits(head_seconds=0.01))
    async with proxy.egress.listen(proxy.path):
        assert (await proxy.ask(b"GET http://example.org/ HT")).startswith(b"HTTP/1.1 408 ")
        answer = await proxy.ask(connect("example.org:443"), hello("example.org")[:20])
        assert answer.endswith(b"\x15\x03\x01\x00\x02\x02\x70")


async def test_a_silent_connection_is_ended(network: Network, tmp_path: Path) -> None:
    network.waits_for = b"nothing that comes"
    proxy = Proxy(network, tmp_path / "p", EgressLimits(idle_seconds=0.01))
    async with proxy.egress.listen(proxy.path):
        assert await proxy.ask(get("http://example.org/")) == b""


async def test_a_connection_too_long_is_ended(network: Network, tmp_path: Path) -> None:
    network.waits_for = b"nothing that comes"
    proxy = Proxy(network, tmp_path / "p", EgressLimits(seconds=0.01))
    async with proxy.egress.listen(proxy.path):
        assert await proxy.ask(get("http://example.org/")) == b""


async def test_too_many_connections_are_refused_until_one_ends(proxy: Proxy, network: Network) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(LIMITS.connections):
            held = await stack.enter_async_context(await anyio.connect_unix(proxy.path))
            await held.send(connect("example.org:443"))
            await held.receive()
        assert (await proxy.ask(get("http://example.org/"))).startswith(b"HTTP/1.1 503 ")
        await held.send(b"not TLS")
        async for _ in held:
            pass
        assert await proxy.ask(get("http://example.org/")) == ANSWER


async def test_what_is_told_can_be_shown(proxy: Proxy) -> None:
    await proxy.ask(b"CONNECT \x1b[31mevil:443 HTTP/1.1\r\n\r\n")
    await proxy.ask(connect("example.org:443"), changed_extensions(name_extension(b"\x1b[31m\n"), keep=False))
    assert all(text.isprintable() for _, _, text in proxy.refused)


@pytest.mark.parametrize(
    "host",
    [
        "*",
        "*.",
        "*.com",
        "*foo.com",
        "a.*.com",
        "http://example.org",
        "a b",
        "",
        "*.1.2.3.4",
        "x:y",
        "0x7f.1",
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="cannot be allowed"):
        Egress([host])


async def test_a_rule_in_another_alphabet_is_meant_as_dns_writes_it(network: Network, tmp_path: Path) -> None:
    egress = Egress(["bücher.example"], resolver=network.resolve, dial=network.dial)
    async with egress.listen(tmp_path / "p"), await anyio.connect_unix(tmp_path / "p") as stream:
        assert await converse(stream, get("http://xn--bcher-kva.example/")) == ANSWER


async def test_nothing_is_reached_by_default(network: Network, tmp_path: Path) -> None:
    egress = Egress([], resolver=network.resolve, dial=network.dial)
    async with egress.listen(tmp_path / "p"), await anyio.connect_unix(tmp_path / "p") as stream:
        assert (await converse(stream, get("http://example.org/"))).startswith(b"HTTP/1.1 403 ")


async def test_it_may_be_closed_by_another_task(network: Network, tmp_path: Path) -> None:
    egress = Egress(["example.org"], resolver=network.resolve, dial=network.dial)
    path = tmp_path / ("long" * 40) / "p"
    path.parent.mkdir()
    context = egress.listen(path)
    await asyncio.create_task(context.__aenter__())
    assert path.is_socket()
    await context.__aexit__(None, None, None)
    assert not path.exists()


async def test_it_outlives_a_want_of_descriptors(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = await anyio.create_unix_listener(tmp_path / "p")
    accept = listener.accept
    failures = [OSError(errno.EMFILE, "Too many open files")]

    async def failing_once() -> anyio.abc.SocketStream:
        if failures:
            raise failures.pop()
        return await accept()

    async def prepared(*_: object, **__: object) -> anyio.abc.SocketListener:
        return listener

    monkeypatch.setattr(listener, "accept", failing_once)
    monkeypatch.setattr(anyio, "create_unix_listener", prepared)
    proxy = Proxy(network, tmp_path / "p")
    async with proxy.egress.listen(proxy.path):
        assert await proxy.ask(get("http://example.org/")) == ANSWER


def test_programs_inside_are_told_of_the_forwarder() -> None:
    variables = proxy_environment(1234)
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == "http://127.0.0.1:1234"
    assert variables["no_proxy"] == "localhost,127.0.0.1,::1"
