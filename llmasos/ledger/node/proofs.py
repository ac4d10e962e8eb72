"""Proofs that an account and its storage are in a block's state (EIP-1186)."""

from __future__ import annotations

from typing import Any

from llmasos.ledger._digest import keccak
from llmasos.ledger.node.accounts import EMPTY_CODE
from llmasos.ledger.node.evm import to_hex
from llmasos.ledger.node.trie import BLANK_ROOT, decode, walk


def account_proof(nodes: Any, state_root: bytes, address: bytes, slots: list[int]) -> dict[str, Any]:
    """Return an account and some of its storage, with the nodes that prove them against a state root."""
    walked, encoded = walk(nodes, state_root, keccak(address))
    nonce, balance, storage_root, code_hash = (
        decode(encoded) if encoded else (b"", b"", BLANK_ROOT, EMPTY_CODE)
    )
    proofs = []
    for slot in slots:
        below, value = walk(nodes, storage_root, keccak(slot.to_bytes(32, "big")))
        number = int.from_bytes(decode(value), "big") if value else 0
        proofs.append({"key": hex(slot), "value": hex(number), "proof": [to_hex(node) for node in below]})
    return {
        "address": to_hex(address),
        "accountProof": [to_hex(node) for node in walked],
        "balance": hex(int.from_bytes(balance, "big")),
        "codeHash": to_hex(code_hash),
        "nonce": hex(int.from_bytes(nonce, "big")),
        "storageHash": to_hex(storage_root),
        "storageProof": proofs,
    }
