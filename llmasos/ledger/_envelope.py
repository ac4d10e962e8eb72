"""A signed transaction taken apart: what it says, and who signed it."""

from __future__ import annotations

from dataclasses import dataclass

from llmasos.ledger._digest import keccak

FIELDS = 12
SIGNED_FIELDS = 9


@dataclass(frozen=True)
class Envelope:
    """A fee-market transaction (EIP-1559).

    Args:
        message: The hash that was signed.
    """

    chain_id: int
    nonce: int
    to: str | None
    value: int
    data: bytes
    message: bytes
    parity: int
    r: bytes
    s: bytes


def opened(raw: bytes) -> Envelope:
    """Decode a signed transaction.

    Raises:
        ValueError: The bytes are not one.
    """
    if raw[:1] != b"\x02":
        raise ValueError("not a transaction of type 2")
    start, end, nested = _item(raw, 1)
    if not nested or end != len(raw):
        raise ValueError("not one list")
    fields: list[bytes] = []
    at = start
    while at < end:
        if len(fields) == SIGNED_FIELDS:
            signed = raw[start:at]
        first, at, _ = _item(raw, at)
        fields.append(raw[first:at])
    if len(fields) != FIELDS or at != end:
        raise ValueError(f"{len(fields)} fields instead of {FIELDS}")
    chain_id, nonce, _, _, _, to, value, data, _, parity, r, s = fields
    return Envelope(
        int.from_bytes(chain_id),
        int.from_bytes(nonce),
        "0x" + to.hex() if to else None,
        int.from_bytes(value),
        data,
        keccak(b"\x02" + _header(len(signed)) + signed),
        int.from_bytes(parity),
        r,
        s,
    )


def signer(envelope: Envelope) -> str:
    """Return the account that signed a transaction, recovered from its signature.

    Raises:
        ValueError: The signature is not one.
    """
    from coincurve import PublicKey

    if envelope.parity > 1 or len(envelope.r) > 32 or len(envelope.s) > 32:
        raise ValueError("not a signature")
    signature = envelope.r.rjust(32, b"\0") + envelope.s.rjust(32, b"\0") + bytes([envelope.parity])
    try:
        key = PublicKey.from_signature_and_message(signature, envelope.message, hasher=None)
    except Exception as error:  # The library raises bare exceptions.
        raise ValueError(f"not a signature: {error}") from error
    return "0x" + keccak(key.format(compressed=False)[1:])[12:].hex()


def named_signer(envelope: Envelope) -> str:
    """Return the account that stands in place of a signature on the chain in memory."""
    return "0x" + envelope.r.hex()


def _item(data: bytes, at: int) -> tuple[int, int, bool]:
    """Return where an RLP item's content begins and ends, and whether it is a list."""
    if at >= len(data):
        raise ValueError("cut off")
    first = data[at]
    if first < 0x80:
        return at, at + 1, False
    nested = first >= 0xC0
    length = first - (0xC0 if nested else 0x80)
    start = at + 1
    if length > 55:
        start += length - 55
        length = int.from_bytes(data[at + 1 : start])
    if start + length > len(data):
        raise ValueError("cut off")
    return start, start + length, nested


def _header(length: int) -> bytes:
    if length < 56:
        return bytes([0xC0 + length])
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([0xF7 + len(size)]) + size
