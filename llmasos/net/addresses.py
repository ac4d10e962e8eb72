"""Addresses of the open internet, and those that are not."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
# What `is_global` lets pass in some versions of Python: special uses (a cloud's metadata lies in the first
# of them), 6to4 relays, an address that the hosts of virtual machines answer, and documentation.
_SPECIAL_4 = [ipaddress.IPv4Network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")]
_SPECIAL_6 = ipaddress.IPv6Network("3fff::/20")


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


def is_open(text: str) -> bool:
    """Tell whether an address belongs to the open internet and not to this machine."""
    return is_public(text) and not is_own(text)
