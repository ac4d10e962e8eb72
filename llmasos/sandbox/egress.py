"""Controlled egress: a proxy on the host that lets a sandbox reach the hosts that were named, and no others.

The proxy resolves names itself, and connects to the address that it has checked. In a tunnel it checks
that TLS asks for the host that the tunnel was asked for; what is said inside TLS it cannot see.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import h11

from llmasos.sandbox._client_hello import HelloError, server_name
from llmasos.sandbox._hosts import AllowedHosts, Host, HostError, is_own, is_public, parse_host

PORT = 3128
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
Dial = Callable[[str, int], Awaitable[anyio.abc.ByteStream]]
OnRefused = Callable[[str, int, str], None]

_PIECE = 65_536
_TLS_PORT = 443
_HANDSHAKE = b"\x16"
# These concern one connection, and the one to the server is not the client's.
_HOP_BY_HOP = {b"connection", b"expect", b"host", b"keep-alive", b"te", b"trailer", b"upgrade"}
_FRAMING = {b"content-length", b"transfer-encoding"}
_TARGET = re.compile(rb"http://(?P<authority>[^/?#]+)(?P<path>(?:[/?][^#]*)?)", re.IGNORECASE)
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_UNRECOGNIZED_NAME = b"\x15\x03\x01\x00\x02\x02\x70"  # a fatal alert of TLS
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass(frozen=True)
class EgressLimits:
    """What one sandbox may ask of its proxy.

    Args:
        connections: At the same time.
        head_bytes: Size of a request's head.
        head_seconds: Until a request's head, or the start of TLS, is complete.
        dial_seconds: Until a name is resolved, and until a server answers.
        idle_seconds: Without a byte in either direction.
        seconds: Of one connection.
    """

    connections: int = 64
    head_bytes: int = 32_768
    head_seconds: float = 10.0
    dial_seconds: float = 15.0
    idle_seconds: float = 300.0
    seconds: float = 3600.0


async def resolve(name: str, port: int) -> Sequence[str]:
    """Return the addresses of a host."""
    found = await anyio.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def dial(address: str, port: int) -> anyio.abc.ByteStream:
    """Connect to an address."""
    return await anyio.connect_tcp(address, port)


def proxy_environment(port: int = PORT) -> dict[str, str]:
    """Return the variables that lead programs inside a sandbox to the forwarder on this port."""
    found = {"NO_PROXY": "localhost,127.0.0.1,::1"}
    found |= {f"{name}_PROXY": f"http://127.0.0.1:{port}" for name in ("HTTP", "HTTPS", "ALL")}
    return found | {name.lower(): value for name, value in found.items()}


class Egress:
    """The proxy of one sandbox.

    Args:
        hosts: What may be reached: `pypi.org`, `*.debian.org`, `host:8080`; without a port, 80 and 443.
        resolver: Returns the addresses of a name.
        dial: Connects to an address.
        on_refused: Told the host, the port and the reason of every refusal.
        limits: What the sandbox may ask for.

    Raises:
        SandboxError: One of the hosts cannot be read, or opens too much.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        resolver: Resolver = resolve,
        dial: Dial = dial,
        on_refused: OnRefused | None = None,
        limits: EgressLimits | None = None,
    ) -> None:
        self.sent = 0
        self.received = 0
        self._allowed = AllowedHosts(hosts)
        self._resolver = resolver
        self._dial = dial
        self._on_refused = on_refused
        self._limits = limits or EgressLimits()
        self._open = 0

    @asynccontextmanager
    async def listen(self, path: Path) -> AsyncIterator[None]:
        """Serve on a Unix socket until the context ends; `sent` and `received` count bytes.

        Args:
            path: Where the socket is made. Everybody who can reach the file may use it.
        """
        folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
        try:
            # Through /proc, because a socket's path may have 107 bytes only.
            listener = await anyio.create_unix_listener(f"/proc/self/fd/{folder}/{path.name}", mode=0o666)
        finally:
            os.close(folder)
        # A task of its own, so that the context may be left by another task than the one that entered it.
        serving = asyncio.create_task(listener.serve(self._serve))
        try:
            yield
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            await listener.aclose()
            path.unlink(missing_ok=True)

    async def _serve(self, client: anyio.abc.SocketStream) -> None:
        self._open += 1
        try:
            async with client:
                with anyio.move_on_after(self._limits.seconds):
                    await self._answer(client)
        except _BROKEN:
            pass
        except Exception:  # One connection must not end the others.
            logging.getLogger(__name__).exception("A connection of a sandbox's proxy failed")
        finally:
            self._open -= 1

    async def _answer(self, client: anyio.abc.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head_bytes)
        try:
            if self._open > self._limits.connections:
                raise _RefusedError(503, "it has too many connections open")
            request = await self._head(client, connection)
            if request.method == b"CONNECT":
                await self._tunnel(client, connection, request)
            else:
                await self._forward(client, connection, request)
        except _RefusedError as refused:
            self._report(refused)
            with anyio.move_on_after(self._limits.head_seconds):
                await client.send(refused.response())

    def _report(self, refused: _RefusedError) -> None:
        # The others tell of a network or a client in trouble, not of an attempt.
        if self._on_refused is not None and refused.status in (400, 403):
            self._on_refused(refused.name, refused.port, refused.reason)

    async def _head(self, client: anyio.abc.SocketStream, connection: h11.Connection) -> h11.Request:
        try:
            with anyio.fail_after(self._limits.head_seconds):
                event = await _next_event(client, connection)
        except TimeoutError:
            raise _RefusedError(408, "its request did not arrive in time") from None
        except h11.RemoteProtocolError as error:
            raise _RefusedError(error.error_status_hint, f"its request is malformed ({error})") from None
        if not isinstance(event, h11.Request):
            raise anyio.EndOfStream
        if event.http_version not in (b"1.0", b"1.1"):
            raise _RefusedError(400, "it does not speak HTTP/1.1")
        return event

    async def _tunnel(
        self, client: anyio.abc.SocketStream, connection: h11.Connection, request: h11.Request
    ) -> None:
        host = self._asked(request, request.target, None)
        if host.port == 80:
            raise _RefusedError(403, "plain HTTP is not tunnelled", host)
        if _FRAMING & {name for name, _ in request.headers}:
            raise _RefusedError(400, "a tunnel's request has no body", host)
        await _next_event(client, connection)
        early, _ = connection.trailing_data
        async with await self._connect(host) as server:
            await client.send(_ESTABLISHED)
            try:
                await self._relay(self._opening(client, host, early), client, server, half_close=True)
            except _RefusedError as refused:
                self._report(refused)
                with anyio.move_on_after(self._limits.head_seconds):
                    await client.send(_UNRECOGNIZED_NAME)

    async def _opening(self, client: anyio.abc.SocketStream, host: Host, data: bytes) -> AsyncIterator[bytes]:
        """Yield what the client says in a tunnel, from when its start is known to ask for this host."""
        wanted = "" if host.address is not None else host.name
        try:
            if not data and host.port != _TLS_PORT:
                # A port that was named by itself may belong to a protocol in which the server speaks first.
                data = await client.receive(_PIECE)
            if host.port == _TLS_PORT or data.startswith(_HANDSHAKE):
                with anyio.fail_after(self._limits.head_seconds):
                    while (name := server_name(data)) is None:
                        data += await client.receive(_PIECE)
                if name != wanted:
                    raise _RefusedError(403, f"its TLS asks for {_printable(name) or 'no name'}", host)
        except HelloError as error:
            raise _RefusedError(403, str(error), host) from None
        except TimeoutError:
            raise _RefusedError(408, "its TLS did not begin in time", host) from None
        except anyio.EndOfStream:
            return
        yield data
        async for piece in client:
            yield piece

    async def _forward(
        self, client: anyio.abc.SocketStream, connection: h11.Connection, request: h11.Request
    ) -> None:
        target = _TARGET.fullmatch(request.target)
        if target is None:
            raise _RefusedError(400, "it asks for something else than a host or an http:// address")
        host = self._asked(request, target["authority"], 80)
        path = target["path"]
        if not path.startswith(b"/"):
            path = b"/" + path
        names = {name for name, _ in request.headers}
        if names >= _FRAMING:
            raise _RefusedError(400, "its request has two lengths", host)
        listed = b",".join(value for name, value in request.headers if name == b"connection").lower()
        dropped = _HOP_BY_HOP | ({name.strip() for name in listed.split(b",")} - _FRAMING)
        authority = f"[{host.name}]" if ":" in host.name else host.name
        headers = [(b"Host", (authority if host.port == 80 else f"{authority}:{host.port}").encode())]
        headers += [
            (name, value)
            for name, value in request.headers
            if name not in dropped and not name.startswith(b"proxy-")
        ]
        headers.append((b"Connection", b"close"))
        onward = h11.Connection(h11.CLIENT)
        head = onward.send(h11.Request(method=request.method, target=path, headers=headers))
        async with await self._connect(host) as server:
            await self._relay(
                _body(client, connection, onward, head or b""), client, server, half_close=False
            )

    def _asked(self, request: h11.Request, authority: bytes, default_port: int | None) -> Host:
        """Return the host that a request asks for, if it is an allowed one.

        Raises:
            _RefusedError: It is not, or the request names two hosts.
        """
        text = authority.decode("ascii")
        try:
            host = parse_host(text, default_port)
        except HostError as error:
            raise _RefusedError(403, str(error), name=text) from None
        named = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
        try:
            others = [parse_host(other, host.port) for other in named]
        except HostError:
            others = []
        if len(others) != len(named) or any(other != host for other in others):
            raise _RefusedError(400, "its Host header names another host", host)
        if not self._allowed.allow(host):
            raise _RefusedError(403, "it is not among the allowed hosts", host)
        return host

    async def _connect(self, host: Host) -> anyio.abc.ByteStream:
        """Connect to a host at an address that was checked."""
        addresses: Sequence[str] = [host.name]
        if host.address is None:
            try:
                with anyio.fail_after(self._limits.dial_seconds):
                    addresses = await self._resolver(host.name, host.port)
            except (OSError, TimeoutError):
                addresses = []
        if not addresses:
            raise _RefusedError(502, "its name cannot be resolved", host)
        for address in addresses:
            if not is_public(address) or is_own(address):
                raise _RefusedError(403, f"its address {address} is not on the open internet", host)
        for address in addresses:
            with suppress(OSError, TimeoutError), anyio.fail_after(self._limits.dial_seconds):
                return await self._dial(address, host.port)
        raise _RefusedError(502, "it does not answer", host)

    async def _relay(
        self,
        asked: AsyncIterator[bytes],
        client: anyio.abc.SocketStream,
        server: anyio.abc.ByteStream,
        *,
        half_close: bool,
    ) -> None:
        """Pass on what is asked and what is answered, until the server ends it or nothing moves any more."""
        refusals: list[_RefusedError] = []
        async with anyio.create_task_group() as group:

            def moved() -> None:
                group.cancel_scope.deadline = anyio.current_time() + self._limits.idle_seconds

            async def up() -> None:
                try:
                    async for piece in asked:
                        self.sent += len(piece)
                        await server.send(piece)
                        moved()
                    if half_close:
                        await server.send_eof()
                except _RefusedError as refused:
                    refusals.append(refused)
                    group.cancel_scope.cancel()
                except (*_BROKEN, h11.ProtocolError):
                    group.cancel_scope.cancel()

            async def down() -> None:
                try:
                    async for piece in server:
                        self.received += len(piece)
                        await client.send(piece)
                        moved()
                    await client.send_eof()
                except _BROKEN:
                    group.cancel_scope.cancel()
                if not half_close:
                    group.cancel_scope.cancel()

            moved()
            group.start_soon(up)
            group.start_soon(down)
        if refusals:
            raise refusals[0]


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str, host: Host | None = None, *, name: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = _printable(reason)
        self.name = host.name if host is not None else _printable(name)
        self.port = host.port if host is not None else 0

    def response(self) -> bytes:
        """Return the answer that the client gets."""
        what = f"{self.name}:{self.port}" if self.port else self.name or "this"
        text = f"The sandbox cannot reach {what}: {self.reason}.\n"
        if self.status == 403:
            text += "The hosts that it may reach are set by sandbox_hosts (LLMASOS_SANDBOX_HOSTS).\n"
        head = (
            f"HTTP/1.1 {self.status} Refused by LLMasOS\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        )
        return f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode("ascii")


async def _next_event(client: anyio.abc.SocketStream, connection: h11.Connection) -> h11.Event | type:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        if connection.they_are_waiting_for_100_continue:
            waited_for = h11.InformationalResponse(status_code=100, headers=[])
            await client.send(connection.send(waited_for) or b"")
        try:
            connection.receive_data(await client.receive(_PIECE))
        except anyio.EndOfStream:
            connection.receive_data(b"")


async def _body(
    client: anyio.abc.SocketStream, connection: h11.Connection, onward: h11.Connection, head: bytes
) -> AsyncIterator[bytes]:
    """Yield a request anew: its head, and its body up to where it ends, whatever else the client sends."""
    yield head
    while True:
        event = await _next_event(client, connection)
        if isinstance(event, h11.Data):
            yield onward.send(event) or b""
        elif isinstance(event, h11.EndOfMessage):
            yield onward.send(h11.EndOfMessage()) or b""
            return
        else:
            raise anyio.EndOfStream


def _printable(text: str) -> str:
    # It comes from inside, and goes to a terminal.
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:253])
