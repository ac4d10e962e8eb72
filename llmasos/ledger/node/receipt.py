"""What became of a transaction, as the receipts' trie holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llmasos.ledger._digest import keccak
from llmasos.ledger.node.header import number
from llmasos.ledger.node.trie import decode, encode

BLOOM_BYTES = 256

Event = tuple[bytes, Sequence[int], bytes]
"""Who logged, the topics, and the data."""


class Outcome(NamedTuple):
    """A receipt without its logs, which the chain's file has in a table."""

    ok: bool
    gas_used: int
    bloom: bytes


def encode_receipt(kind: int, outcome: Outcome, events: Iterable[Event]) -> bytes:
    """Return the receipt of a block's only transaction (EIP-2718; type 0 has no type byte)."""
    logs = [
        [address, [topic.to_bytes(32, "big") for topic in topics], data] for address, topics, data in events
    ]
    encoded = encode([number(outcome.ok), number(outcome.gas_used), outcome.bloom, logs])
    return bytes((kind,)) + encoded if kind else encoded


def decode_receipt(encoded: bytes) -> Outcome:
    """Return what a receipt of ours says."""
    # A list never begins with so small a byte as a type.
    status, gas, bloom, _ = decode(encoded[1:] if encoded[0] < 0x80 else encoded)
    return Outcome(bool(status), int.from_bytes(gas, "big"), bloom)


def bloom_of(events: Iterable[Event]) -> bytes:
    """Return the filter by which a light client passes over blocks.

    Source: the yellow paper, section 4.3.1: three bits for each address and topic.
    """
    bits = 0
    words = {
        word for address, topics, _ in events for word in (address, *(t.to_bytes(32, "big") for t in topics))
    }
    for word in words:
        digest = keccak(word)
        for start in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 0x7FF)
    return bits.to_bytes(BLOOM_BYTES, "big")
