"""Which hosts a sandbox may reach: names as a person writes them, and the addresses behind them."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from llmasos.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = (80, 443)
_AUTHORITY = re.compile(
    r"(?:\[(?P<literal>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# A last label that readers of IPv4 addresses take for a number: decimal, octal or hexadecimal.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
# What `is_global` lets pass in some versions of Python: special uses (a cloud's metadata lies in the first
# of them), 6to4 relays, an address that the hosts of virtual machines answer, and documentation.
_SPECIAL_4 = [ipaddress.IPv4Network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")]
_SPECIAL_6 = ipaddress.IPv6Network("3fff::/20")


class HostError(ValueError):
    """A host or port that nobody may ask for, with the reason for people."""


@dataclass(frozen=True)
class Host:
    """A host and a port, in the one spelling that is compared.

    Args:
        name: In lower case, without a dot at its end; addresses as `ipaddress` writes them.
        port: 1 to 65535.
        address: Set when the name is an address.
    """

    name: str
    port: int
    address: Address | None = None


def parse_host(text: str, default_port: int | None) -> Host:
    """Read `name:port` as a client may write it.

    Args:
        text: The authority of a URL or a Host header.
        default_port: Used when there is none; None when there must be one.

    Raises:
        HostError: It has a user name, an odd spelling of an address, or is no host at all.
    """
    found = _AUTHORITY.fullmatch(text.lower())
    if found is None:
        raise HostError("it is not a plain host name with a port")
    port = int(found["port"]) if found["port"] else default_port
    if port is None or port > 65535:
        raise HostError("it has no valid port")
    if found["literal"] is not None:
        return _literal(found["literal"], port)
    name = found["name"].removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _literal(name, port)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise HostError("it is not a valid host name")
    return Host(name, port)


def _literal(text: str, port: int) -> Host:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise HostError("it is an address in an unusual notation") from None
    return Host(str(address), port, address)


class AllowedHosts:
    """The hosts that a person has named.

    Args:
        hosts: Names such as `example.org`, `*.example.net` (every name below it, not itself) or `host:8080`.
            Without a port, 80 and 443 are meant.

    Raises:
        ConfigError: One of them cannot be read, or opens too much.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._rules = [rule for text in hosts for rule in _rules(text)]

    def allow(self, host: Host) -> bool:
        """Tell whether a host may be asked for, by its name."""
        return any(
            port == host.port and (host.name.endswith(name) if name.startswith(".") else host.name == name)
            for name, port in self._rules
        )


def _rules(text: str) -> list[tuple[str, int]]:
    """Return a rule as names and ports; a name that starts with a dot stands for all names below it."""
    wild = text.startswith("*.")
    name = text.removeprefix("*.").strip()
    try:
        if not name.isascii():
            name = name.encode("idna").decode("ascii")
        host = parse_host(name, 0)
        if wild and (host.address is not None or "." not in host.name):
            raise HostError("it opens too much")
    except (HostError, UnicodeError) as error:
        raise ConfigError(
            f"The host {text!r} cannot be allowed: {error}.",
            hint="Write sandbox_hosts as names such as example.org, *.example.net or example.org:8080.",
        ) from None
    return [("." * wild + host.name, port) for port in ([host.port] if host.port else _PORTS)]


def is_public(text: str) -> bool:
    """Tell whether an address belongs to the open internet, and so does every address inside it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        special = address.is_multicast or address.is_reserved or any(address in net for net in _SPECIAL_4)
        return address.is_global and not special
    if address.scope_id is not None:
        return False
    inner = _embedded(address)
    if not all(is_public(str(each)) for each in inner):
        return False
    if address.ipv4_mapped is not None or address in _NAT64:
        return True
    return address in _GLOBAL_6 and address not in _SPECIAL_6 and address.is_global


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that a translator or a tunnel would take out of an IPv6 address."""
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    number = int(address)
    if address in _NAT64 or number >> 32 & 0xFFFFFFFF in _ISATAP:
        found.append(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def is_own(text: str) -> bool:
    """Tell whether an address is one of this machine's."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # This sends nothing; the kernel only chooses where it would be sent from.
            probe.connect((text, 9))
        except OSError:
            return False
        return str(probe.getsockname()[0]) == text
