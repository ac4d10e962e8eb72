"""Links, addresses, hosts, accounts and paths inside a text."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from llmasos.decisions import Identifier

_LINK = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>`|;)\]}]+|\bmailto:\S+", re.ASCII)
_ADDRESS = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*")
_HOST = re.compile(r"(?<![\w@/.-])(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_][\w-]*[^\W_](?![\w@])")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_HEX_ACCOUNT = re.compile(r"\b0x[0-9a-fA-F]{16,}\b|\b(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25,60}\b")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{2,4}){3,8}\b")
_NUMBER = re.compile(r"(?<![\w.])\+?\(?\d(?:[ \t().\u00a0/-]{0,2}\d){7,}(?!\w)")
_PATH = re.compile(r"(?:~|\.{1,2})?/?(?:[\w.@+-]+/)+[\w.@+-]*|~?/[\w.@+-]+|[\w@+-][\w.@+-]*\.[A-Za-z]\w{0,9}")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """Something that a text names.

    Args:
        kind: What kind of a thing it is.
        text: It, as the text has it.
        forms: How it may be written elsewhere, the most telling first.
    """

    kind: Identifier
    text: str
    forms: tuple[str, ...]


def identifiers(text: str, *, paths: bool = True) -> Iterator[Found]:
    """Give the links, addresses, hosts, accounts and, when wanted, paths that a text names."""
    for match in _LINK.finditer(text):
        link = match[0].rstrip(".,:!?*_")
        yield Found("link", link, (_SCHEME.sub("", link).rstrip("/"),))
        yield from hosts(link)
    for match in _ADDRESS.finditer(text):
        address = match[0].rstrip(".-")
        yield Found("address", address, (address, address.replace("@", " at ").replace(".", " dot ")))
        yield from hosts("//" + address.partition("@")[2])
    for match in _HOST.finditer(text):
        yield from hosts("//" + match[0])
    for match in _IP.finditer(text):
        yield from hosts("//" + (f"[{match[0]}]" if ":" in match[0] else match[0]))
    for pattern in (_HEX_ACCOUNT, _IBAN, _NUMBER):
        for match in pattern.finditer(text):
            account = re.sub(r"[^0-9A-Za-z]", "", match[0])
            yield Found("account", match[0].strip(), (account,))
    if paths:
        for match in _PATH.finditer(text):
            yield Found("path", match[0], (match[0],))


def hosts(link: str) -> Iterator[Found]:
    """Give the host of a link, and the domains that it lies in, but for the last label alone."""
    authority = re.split(r"[/?#\\]", link.partition("//")[2])[0].rpartition("@")[2]
    host = authority.partition("]")[0].strip("[") if authority.startswith("[") else authority.partition(":")[0]
    host = host.strip(".").lower()
    if not host:
        return
    if number := _number(host):
        yield Found("host", host, tuple(dict.fromkeys((host, str(number)))))
        return
    if "xn--" in host:
        try:
            host = host.encode().decode("idna")
        except UnicodeError:
            pass
    labels = host.split(".")
    for start in range(max(1, len(labels) - 1)):
        domain = ".".join(labels[start:])
        yield Found("host", domain, (domain, domain.replace(".", " dot ")))


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, also when it is written as one number, or in another base."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not re.fullmatch(r"(?:0x)?[0-9a-f.x]+", host) or not any(char.isdigit() for char in host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
