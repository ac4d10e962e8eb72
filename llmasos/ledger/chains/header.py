"""Block headers: rebuilt from what a node shows, so that their hash need not be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmasos.ledger._digest import keccak
from llmasos.ledger.chains.port import Block, ChainRefused
from llmasos.ledger.chains.values import minimal, octets, quantity, shown

_NUMBER = -1

_FIELDS = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", _NUMBER),
    ("number", _NUMBER),
    ("gasLimit", _NUMBER),
    ("gasUsed", _NUMBER),
    ("timestamp", _NUMBER),
    ("extraData", None),
    ("mixHash", 32),
    ("nonce", 8),
)

# What London, Shanghai, Cancun and Prague added, in this order.
_LATER = (
    ("baseFeePerGas", _NUMBER),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", _NUMBER),
    ("excessBlobGas", _NUMBER),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)


@dataclass(frozen=True)
class Roots:
    """The tries that a header commits to."""

    state: bytes
    transactions: bytes
    receipts: bytes


def block_shown(block: dict[str, Any]) -> Block:
    """Rebuild a header from a block of JSON-RPC.

    A field that a later fork adds is not known here, so that the hash differs and the block is refused.

    Raises:
        ChainRefused: Its hash is not the one that the node claims.
        ValueError: A field is missing or malformed.
        KeyError: The same.
    """
    import rlp

    # Blocks before these forks lack the fields, and some nodes show them as null.
    later = [field for field in _LATER if block.get(field[0]) is not None]
    fields = [
        minimal(quantity(block[name])) if size == _NUMBER else octets(block[name], size)
        for name, size in (*_FIELDS, *later)
    ]
    header: bytes = rlp.encode(fields)
    digest, claimed = keccak(header), octets(block["hash"], 32)
    if digest != claimed:
        raise ChainRefused(
            f"The chain's block {quantity(block['number'])} is not what its hash says: the header gives "
            f"{shown(digest)}, the chain claims {shown(claimed)}.",
            hint="Use another node; or the chain has header fields that this version does not know.",
        )
    return Block(
        number=quantity(block["number"]),
        hash=shown(digest),
        parent=shown(fields[0]),
        time=quantity(block["timestamp"]),
        header=header,
    )


def roots(block: Block) -> Roots:
    """Return the roots in a block's header."""
    import rlp

    fields = rlp.decode(block.header)
    return Roots(fields[3], fields[4], fields[5])
