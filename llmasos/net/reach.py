"""What may be reached: the open internet, at addresses that were checked, and hosts that a person named."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import anyio

from llmasos.errors import LLMasOSError
from llmasos.net.addresses import is_open
from llmasos.net.hosts import Host, HostError, as_ascii, parse_host

PORTS = frozenset({80, 443})
_SCHEMES = {"http": 80, "https": 443}

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class OutOfReach(LLMasOSError):
    """Something that nothing here may fetch from.

    Args:
        what: The URL or host that was asked for.
        reason: Goes on from it, such as "its address 10.0.0.1 is not on the open internet".
    """

    code = "network"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{ascii(what)[1:-1]} may not be fetched from: {reason}.",
            hint="Only the open internet may be, and what your settings name by its host and port.",
        )
        self.reason = reason


class Reach:
    """Decides where connections may go.

    Args:
        named: What a person named, as URLs or `host:port`: allowed as it is named, wherever it lies.
        led_to: What else they named, for redirects to lead to.
        ports: The ports of everything else.
    """

    def __init__(
        self, named: Iterable[str] = (), *, led_to: Iterable[str] = (), ports: Iterable[int] = PORTS
    ) -> None:
        self._led_to = frozenset(_named(text) for text in led_to)
        self._named = self._led_to.union(_named(text) for text in named)
        self._ports = frozenset(ports)

    def names(self, host: str, port: int) -> bool:
        """Tell whether a person named this host with this port."""
        return bool(host) and (_plain(host), port) in self._named

    def leads(self, host: str, port: int) -> bool:
        """Tell whether a redirect may lead to this host from another one."""
        return not self.names(host, port) or (_plain(host), port) in self._led_to

    def foreign(self, host: str, port: int) -> Host:
        """Return a host that nobody named, in its one spelling.

        Raises:
            OutOfReach: Its port or spelling is not allowed, or it is an address out of reach.
        """
        try:
            found = parse_host(f"[{host}]" if ":" in host else host, port)
            if port not in self._ports:
                raise HostError(f"its port {port} is not among {', '.join(map(str, sorted(self._ports)))}")
            if found.address is not None:
                check_addresses([found.name])
                if getattr(found.address, "ipv4_mapped", None) or found.name.startswith("64:ff9b:"):
                    raise HostError("it is an address in an unusual notation")
        except HostError as error:
            raise OutOfReach(host, str(error)) from None
        return found

    async def addresses(self, host: str, port: int, resolver: Resolver | None = None) -> Sequence[str]:
        """Return what to connect to for a host: its name where a person named it, else its checked addresses.

        Raises:
            OutOfReach: One of its addresses is not on the open internet.
            OSError: It has none.
        """
        if self.names(host, port):
            return [host]
        found = self.foreign(host, port)
        if found.address is not None:
            return [found.name]
        return checked(host, await (resolver or resolve)(found.name, port))


def checked(host: str, addresses: Sequence[str]) -> Sequence[str]:
    """Return a host's addresses if all of them may be connected to.

    Raises:
        OutOfReach: One is not on the open internet.
        OSError: There are none.
    """
    if not addresses:
        raise OSError(f"{host} has no address")
    try:
        check_addresses(addresses)
    except HostError as error:
        raise OutOfReach(host, str(error)) from None
    return addresses


def check_addresses(addresses: Iterable[str]) -> None:
    """See that all of these are on the open internet, and none is this machine's.

    Raises:
        HostError: One is not.
    """
    for address in addresses:
        if not is_open(address):
            raise HostError(f"its address {address} is not on the open internet")


async def resolve(name: str, port: int) -> Sequence[str]:
    """Return the addresses of a host."""
    return _unique(await anyio.getaddrinfo(name, port, type=socket.SOCK_STREAM))


def resolve_now(name: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, and block until they are known."""
    return _unique(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))


def _unique(found: Iterable[Any]) -> Sequence[str]:
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _named(text: str) -> tuple[str, int]:
    """Return a URL's or authority's host as it is named, and its port."""
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        return _plain(parts.hostname or ""), parts.port or _SCHEMES.get(parts.scheme, 443)
    except ValueError:
        return "", 0  # It names nothing, as whoever connects to it will say.


def _plain(host: str) -> str:
    """Return a host's name in lower case and ASCII, without a dot at its end."""
    with suppress(HostError):
        host = as_ascii(host)
    return host.lower().removesuffix(".")
