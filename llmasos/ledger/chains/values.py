"""Values as JSON-RPC writes them."""

from __future__ import annotations

import re
from typing import Any

_HEX = re.compile(r"0x[0-9a-fA-F]*")


def quantity(value: Any, bits: int = 256) -> int:
    """Read a number.

    Raises:
        ValueError: It is not one of at most `bits` bits.
    """
    if not isinstance(value, str) or len(value) > 2 + 64 or not _HEX.fullmatch(value) or value == "0x":
        raise ValueError("not a quantity")
    number = int(value, 16)
    if number >> bits:
        raise ValueError(f"a quantity of more than {bits} bits")
    return number


def octets(value: Any, size: int | None = None) -> bytes:
    """Read bytes.

    Raises:
        ValueError: They are not bytes, or not `size` of them.
    """
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise ValueError("not bytes")
    data = bytes.fromhex(value[2:])
    if size is not None and len(data) != size:
        raise ValueError(f"{len(data)} bytes instead of {size}")
    return data


def shown(data: bytes) -> str:
    """Write bytes."""
    return "0x" + data.hex()


def minimal(number: int) -> bytes:
    """Return a number as RLP writes it: big-endian without leading zeros."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
