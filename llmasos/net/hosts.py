"""Hosts as people and programs write them, in the one spelling that is compared."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass

from llmasos.net.addresses import Address

_AUTHORITY = re.compile(
    r"(?:\[(?P<literal>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# A last label that readers of IPv4 addresses take for a number: decimal, octal or hexadecimal.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


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


def as_ascii(name: str) -> str:
    """Return a host's name as it is looked up (IDNA 2008, mapped by UTS 46).

    Args:
        name: The name alone, without a port.

    Raises:
        HostError: It is no name, or older programs (IDNA 2003) would look another one up.
    """
    if name.isascii():
        return name
    import idna

    try:
        found = idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise HostError("it is not a valid host name") from None
    with suppress(UnicodeError):
        if (older := name.encode("idna").decode("ascii").lower()) != found:
            raise HostError(
                f"some programs take it for {older} and others for {found}: write the one you mean"
            )
    return found


def _literal(text: str, port: int) -> Host:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise HostError("it is an address in an unusual notation") from None
    return Host(str(address), port, address)
