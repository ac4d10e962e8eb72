"""Proofs that an account and its storage are in a block's state (EIP-1186)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmasos.ledger._digest import keccak
from llmasos.ledger.node.evm import to_hex

BLANK_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
EMPTY_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
HASH_BYTES = 32
BRANCH = 17


def branch(nodes: Mapping[bytes, bytes] | Any, root: bytes, key: bytes) -> tuple[list[bytes], bytes]:
    """Return the nodes from a trie's root towards a key, and the value there; empty when it is absent.

    Raises:
        KeyError: A node is missing.
    """
    import rlp

    path, walked = key.hex(), []
    reference: Any = root if root != BLANK_ROOT else b""
    while reference:
        # A child of less than 32 bytes lies inside its parent, and is proved with it.
        node = reference
        if isinstance(reference, bytes):
            walked.append(nodes[reference])
            node = rlp.decode(walked[-1])
        if len(node) == BRANCH:
            if not path:
                return walked, node[16]
            reference, path = node[int(path[0], 16)], path[1:]
            continue
        part, leaf = nibbles(node[0])
        if leaf:
            return walked, node[1] if part == path else b""
        if not path.startswith(part):
            break
        reference, path = node[1], path[len(part) :]
    return walked, b""


def nibbles(packed: bytes) -> tuple[str, bool]:
    """Return the path in a leaf or extension node in hexadecimal, and whether it is a leaf.

    Source: the yellow paper, appendix C.
    """
    text = packed.hex()
    flag = int(text[0], 16)
    return text[1 if flag & 1 else 2 :], bool(flag & 2)


def account_proof(nodes: Any, state_root: bytes, address: bytes, slots: list[int]) -> dict[str, Any]:
    """Return an account and some of its storage, with the nodes that prove them against a state root."""
    import rlp

    walked, encoded = branch(nodes, state_root, keccak(address))
    nonce, balance, storage_root, code_hash = (
        rlp.decode(encoded) if encoded else (b"", b"", BLANK_ROOT, EMPTY_CODE)
    )
    proofs = []
    for slot in slots:
        below, value = branch(nodes, storage_root, keccak(slot.to_bytes(32, "big")))
        number = int.from_bytes(rlp.decode(value)) if value else 0
        proofs.append({"key": hex(slot), "value": hex(number), "proof": [to_hex(node) for node in below]})
    return {
        "address": to_hex(address),
        "accountProof": [to_hex(node) for node in walked],
        "balance": hex(int.from_bytes(balance)),
        "codeHash": to_hex(code_hash),
        "nonce": hex(int.from_bytes(nonce)),
        "storageHash": to_hex(storage_root),
        "storageProof": proofs,
    }
