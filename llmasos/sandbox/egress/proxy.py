"""The proxy of one sandbox, on the host.

It resolves names itself, and connects to the address that it has checked. In a tunnel it checks
that TLS asks for the host that the tunnel was asked for; what is said inside TLS it cannot see.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import h11

from llmasos.net import Host, HostError, Resolver, check_addresses, resolve
from llmasos.sandbox.egress.client_hello import HelloError, server_name
from llmasos.sandbox.egress.hosts import AllowedHosts
from llmasos.sandbox.egress.proxied import (
    RefusedError,
    after_head,
    asked_host,
    printable,
    read_head,
    rewritten,
    split_target,
    whole,
)
from llmasos.sandbox.port import OnRefused

PORT = 3128
Dial = Callable[[str, int], Awaitable[anyio.abc.ByteStream]]

_PIECE = 65_536
_RETRY_SECONDS = 0.1
_TLS_PORT = 443
_HANDSHAKE = b"\x16"
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
        hosts: What may be reached: `example.org`, `*.example.net`, `host:8080`; without a port, 80 and 443.
        resolver: Returns the addresses of a name.
        dial: Connects to an address.
        on_refused: Told the host, the port and the reason of every refusal.
        limits: What the sandbox may ask for.

    Raises:
        ConfigError: One of the hosts cannot be read, or opens too much.
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
        serving = asyncio.create_task(self._accept(listener))
        try:
            yield
        finally:
            serving.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([serving])
                await listener.aclose()
            path.unlink(missing_ok=True)

    async def _accept(self, listener: anyio.abc.SocketListener) -> None:
        async with anyio.create_task_group() as group:
            while True:
                try:
                    client = await listener.accept()
                except OSError:
                    # No descriptors are left; others end, and the next one is served.
                    await anyio.sleep(_RETRY_SECONDS)
                else:
                    group.start_soon(self._serve, client)

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
                raise RefusedError(503, "it has too many connections open")
            request = await read_head(client, connection, self._limits.head_seconds)
            if request.method == b"CONNECT":
                await self._tunnel(client, connection, request)
            else:
                await self._forward(client, connection, request)
        except RefusedError as refused:
            self._report(refused)
            with anyio.move_on_after(self._limits.head_seconds):
                await client.send(refused.response())

    def _report(self, refused: RefusedError) -> None:
        # The others tell of a network or a client in trouble, not of an attempt.
        if self._on_refused is not None and refused.status in (400, 403):
            self._on_refused(refused.name, refused.port, refused.reason)

    async def _tunnel(
        self, client: anyio.abc.SocketStream, connection: h11.Connection, request: h11.Request
    ) -> None:
        host = asked_host(request, request.target, None, self._allowed)
        if host.port == 80:
            raise RefusedError(403, "plain HTTP is not tunnelled", host)
        early = await after_head(client, connection, request, host)
        async with await self._connect(host) as server:
            await client.send(_ESTABLISHED)
            try:
                await self._relay(self._opening(client, host, early), client, server, half_close=True)
            except RefusedError as refused:
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
                    raise RefusedError(403, f"its TLS asks for {printable(name) or 'no name'}", host)
        except HelloError as error:
            raise RefusedError(403, str(error), host) from None
        except TimeoutError:
            raise RefusedError(408, "its TLS did not begin in time", host) from None
        except anyio.EndOfStream:
            return
        yield data
        async for piece in client:
            yield piece

    async def _forward(
        self, client: anyio.abc.SocketStream, connection: h11.Connection, request: h11.Request
    ) -> None:
        authority, path = split_target(request)
        host = asked_host(request, authority, 80, self._allowed)
        onward = h11.Connection(h11.CLIENT)
        head = onward.send(rewritten(request, host, path)) or b""
        async with await self._connect(host) as server:
            await self._relay(whole(client, connection, onward, head), client, server, half_close=False)

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
            raise RefusedError(502, "its name cannot be resolved", host)
        try:
            check_addresses(addresses)
        except HostError as error:
            raise RefusedError(403, str(error), host) from None
        for address in addresses:
            with suppress(OSError, TimeoutError), anyio.fail_after(self._limits.dial_seconds):
                return await self._dial(address, host.port)
        raise RefusedError(502, "it does not answer", host)

    async def _relay(
        self,
        asked: AsyncIterator[bytes],
        client: anyio.abc.SocketStream,
        server: anyio.abc.ByteStream,
        *,
        half_close: bool,
    ) -> None:
        """Pass on what is asked and what is answered, until the server ends it or nothing moves any more."""
        refusals: list[RefusedError] = []
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
                except RefusedError as refused:
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
