"""A block's header."""

from __future__ import annotations

from typing import Any, NamedTuple

from llmasos.ledger._digest import keccak
from llmasos.ledger.node.trie import BLANK_ROOT, decode, encode

NO_UNCLES = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")


class Header(NamedTuple):
    """A header, field by field in the order of its encoding; py-evm's own takes ten times as long to make.

    Source: the execution specification of Cancun, `Header`.
    """

    parent_hash: bytes = bytes(32)
    uncles_hash: bytes = NO_UNCLES
    coinbase: bytes = bytes(20)
    state_root: bytes = BLANK_ROOT
    transaction_root: bytes = BLANK_ROOT
    receipt_root: bytes = BLANK_ROOT
    bloom: bytes = bytes(256)
    difficulty: int = 0
    block_number: int = 0
    gas_limit: int = 0
    gas_used: int = 0
    timestamp: int = 0
    extra_data: bytes = b""
    mix_hash: bytes = bytes(32)
    nonce: bytes = bytes(8)
    base_fee_per_gas: int = 0
    withdrawals_root: bytes = BLANK_ROOT
    blob_gas_used: int = 0
    excess_blob_gas: int = 0
    parent_beacon_block_root: bytes = bytes(32)

    def encode(self) -> bytes:
        """Return the bytes whose hash is the block's."""
        return encode([number(field) if isinstance(field, int) else field for field in self])

    @property
    def hash(self) -> bytes:
        """The block's hash."""
        return keccak(self.encode())


_NUMBERS = [isinstance(default, int) for default in Header._field_defaults.values()]


def decode_header(encoded: bytes) -> Header:
    """Return what `encode` gave bytes for.

    Raises:
        ValueError: It is another list.
    """
    fields: list[Any] = decode(encoded)
    values: list[Any] = [
        int.from_bytes(field, "big") if numeric else field
        for field, numeric in zip(fields, _NUMBERS, strict=True)
    ]
    return Header(*values)


def number(value: int) -> bytes:
    """Return a number as RLP writes it."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
