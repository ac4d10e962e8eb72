"""What a client asks of the egress proxy: read strictly, and written anew for the server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import h11

from llmasos.net import Host, HostError, parse_host
from llmasos.sandbox.egress.hosts import AllowedHosts

_PIECE = 65_536
# These concern one connection, and the one to the server is not the client's.
_HOP_BY_HOP = {b"connection", b"expect", b"host", b"keep-alive", b"te", b"trailer", b"upgrade"}
_FRAMING = {b"content-length", b"transfer-encoding"}
_TARGET = re.compile(rb"http://(?P<authority>[^/?#]+)(?P<path>(?:[/?][^#]*)?)", re.IGNORECASE)


class RefusedError(Exception):
    """An answer other than the one that was asked for.

    Args:
        status: Of HTTP.
        reason: Goes on from the host's name, such as "it does not answer".
        host: What was asked for, where it could be read.
        name: What was asked for, where it could not.
    """

    def __init__(self, status: int, reason: str, host: Host | None = None, *, name: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = printable(reason)
        self.name = host.name if host is not None else printable(name)
        self.port = host.port if host is not None else 0

    def response(self) -> bytes:
        """Return the answer that the client gets."""
        what = f"{self.name}:{self.port}" if self.port else self.name or "this"
        text = f"The sandbox cannot reach {what}: {self.reason}.\n"
        if self.status == 403:
            text += "The hosts that it may reach are set by sandbox_hosts (LLMASOS_SANDBOX_HOSTS).\n"
        lines = [f"HTTP/1.1 {self.status} Refused by LLMasOS", "Content-Type: text/plain"]
        lines += [f"Content-Length: {len(text)}", "Connection: close", "", text]
        return "\r\n".join(lines).encode("ascii")


async def read_head(
    client: anyio.abc.SocketStream, connection: h11.Connection, seconds: float
) -> h11.Request:
    """Return a request's head, which has to arrive in time.

    Raises:
        RefusedError: It did not, or it is malformed.
        EndOfStream: The client left.
    """
    try:
        with anyio.fail_after(seconds):
            event = await _next_event(client, connection)
    except TimeoutError:
        raise RefusedError(408, "its request did not arrive in time") from None
    except h11.RemoteProtocolError as error:
        raise RefusedError(error.error_status_hint, f"its request is malformed ({error})") from None
    if not isinstance(event, h11.Request):
        raise anyio.EndOfStream
    if event.http_version not in (b"1.0", b"1.1"):
        raise RefusedError(400, "it does not speak HTTP/1.1")
    return event


def split_target(request: h11.Request) -> tuple[bytes, bytes]:
    """Return the authority and the path of a request for an http:// address.

    Raises:
        RefusedError: It is something else.
    """
    target = _TARGET.fullmatch(request.target)
    if target is None:
        raise RefusedError(400, "it asks for something else than a host or an http:// address")
    path = target["path"]
    return target["authority"], path if path.startswith(b"/") else b"/" + path


def asked_host(
    request: h11.Request, authority: bytes, default_port: int | None, allowed: AllowedHosts
) -> Host:
    """Return the host that a request asks for, if it is an allowed one.

    Raises:
        RefusedError: It is not, or the request names two hosts.
    """
    text = authority.decode("ascii")
    try:
        host = parse_host(text, default_port)
    except HostError as error:
        raise RefusedError(403, str(error), name=text) from None
    named = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
    try:
        same = all(parse_host(other, host.port) == host for other in named)
    except HostError:
        same = False
    if not same:
        raise RefusedError(400, "its Host header names another host", host)
    if not allowed.allow(host):
        raise RefusedError(403, "it is not among the allowed hosts", host)
    return host


def rewritten(request: h11.Request, host: Host, path: bytes) -> h11.Request:
    """Return a request as the server gets it: one host, one length, and nothing after it.

    Raises:
        RefusedError: It has two lengths.
    """
    if {name for name, _ in request.headers} >= _FRAMING:
        raise RefusedError(400, "its request has two lengths", host)
    listed = b",".join(value for name, value in request.headers if name == b"connection").lower()
    dropped = _HOP_BY_HOP | ({name.strip() for name in listed.split(b",")} - _FRAMING)
    kept = [
        (name, value)
        for name, value in request.headers
        if name not in dropped and not name.startswith(b"proxy-")
    ]
    authority = f"[{host.name}]" if ":" in host.name else host.name
    named = (b"Host", (authority if host.port == 80 else f"{authority}:{host.port}").encode())
    return h11.Request(method=request.method, target=path, headers=[named, *kept, (b"Connection", b"close")])


async def whole(
    client: anyio.abc.SocketStream, connection: h11.Connection, onward: h11.Connection, head: bytes
) -> AsyncIterator[bytes]:
    """Yield a request's head, and its body up to where it ends, whatever else the client sends."""
    yield head
    while True:
        event = await _next_event(client, connection)
        if isinstance(event, h11.Data | h11.EndOfMessage):
            yield onward.send(h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event) or b""
        if not isinstance(event, h11.Data):
            return


async def after_head(
    client: anyio.abc.SocketStream, connection: h11.Connection, request: h11.Request, host: Host
) -> bytes:
    """Return what a client has already said in the tunnel that it asks for.

    Raises:
        RefusedError: Its request has a body.
    """
    if _FRAMING & {name for name, _ in request.headers}:
        raise RefusedError(400, "a tunnel's request has no body", host)
    await _next_event(client, connection)
    early, _ = connection.trailing_data
    return early


def printable(text: str) -> str:
    """Return a text that came from inside as a terminal may show it."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:253])


async def _next_event(client: anyio.abc.SocketStream, connection: h11.Connection) -> object:
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
