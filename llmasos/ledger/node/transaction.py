"""A signed transaction of the usual type (EIP-1559), as py-evm runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmasos.ledger._digest import keccak
from llmasos.ledger.node.trie import decode, encode

TYPE = 2
HALF_ORDER = 0x7FFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_5D576E73_57A4501D_DFE92F46_681B20A0
"""Half the order of the curve: a signature has no larger `s` (EIP-2)."""

BASE_GAS, CREATE_GAS, ZERO_GAS, BYTE_GAS = 21_000, 32_000, 4, 16
"""What is paid before the code runs: as a whole, for a new contract, for each byte of data."""


@dataclass(frozen=True, slots=True, repr=False)
class Transaction:
    """A transaction whose signature holds; py-evm's own takes five times as long to read."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: bytes
    value: int
    data: bytes
    access_list: tuple[()]
    y_parity: int
    r: int
    s: int
    sender: bytes
    intrinsic_gas: int
    type_id: int = TYPE

    def validate(self) -> None:
        """Do nothing: `read` has checked it."""


def read(raw: bytes) -> Transaction | None:
    """Return a transaction of the usual type; None for what py-evm must look at.

    That is every other type, and whatever is not exactly as expected: py-evm then says what is wrong.
    """
    from coincurve import PublicKey

    if raw[:1] != bytes((TYPE,)):
        return None
    try:
        fields: list[Any] = decode(raw[1:])
        # Lists elsewhere, an access list, and lengths in other than the shortest form give other bytes.
        if len(fields) != 12 or fields[8] != [] or encode(fields) != raw[1:]:
            return None
        to, data, numbers = fields[5], fields[7], [fields[place] for place in (0, 1, 2, 3, 4, 6, 9, 10, 11)]
        if len(to) not in (0, 20) or any(item[:1] == b"\x00" or len(item) > 32 for item in numbers):
            return None
        chain, nonce, tip, cap, gas, value, parity, r, s = (int.from_bytes(item, "big") for item in numbers)
        cost = BASE_GAS + BYTE_GAS * len(data) - (BYTE_GAS - ZERO_GAS) * data.count(0)
        cost += 0 if to else CREATE_GAS
        if parity > 1 or s > HALF_ORDER or nonce >= 2**64 - 1 or gas < cost:
            return None
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((parity,))
        digest = keccak(raw[:1] + encode(fields[:9]))
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except (ValueError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    sender = keccak(key.format(compressed=False)[1:])[12:]
    return Transaction(
        chain, nonce, tip, cap, gas, to, value, data, (), parity, r, s, sender, intrinsic_gas=cost
    )
