"""Merkle-Patricia tries: built from their items, and read from the nodes of a proof.

Source: the yellow paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmasos.ledger._digest import keccak

EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""The root of a trie without items: `keccak(rlp(b""))`."""

HASH_BYTES = 32


class Trie:
    """A trie over given items, none of whose values is empty.

    Args:
        items: The values by their keys.
    """

    def __init__(self, items: Mapping[bytes, bytes]) -> None:
        import rlp

        self._nodes: dict[bytes, bytes] = {}
        self._encode = rlp.encode
        self.root = EMPTY_ROOT
        if items:
            encoded = rlp.encode(
                self._build(sorted((_nibbles(key), value) for key, value in items.items()), 0)
            )
            self.root = keccak(encoded)
            self._nodes[self.root] = encoded

    def proof(self, key: bytes) -> tuple[bytes, ...]:
        """Return the nodes from the root to an item."""
        return tuple(_walk(self.root, _nibbles(key), self._nodes)[1])

    def _build(self, items: list[tuple[bytes, bytes]], depth: int) -> list[Any]:
        first, last = items[0][0], items[-1][0]
        if len(items) == 1:
            return [_compact(first[depth:], leaf=True), items[0][1]]
        shared = depth
        while shared < len(first) and first[shared] == last[shared]:
            shared += 1
        if shared > depth:
            return [_compact(first[depth:shared], leaf=False), self._reference(self._build(items, shared))]
        branch: list[Any] = [b""] * 17
        if len(first) == depth:
            branch[16] = items.pop(0)[1]
        for nibble in {path[depth] for path, _ in items}:
            below = [item for item in items if item[0][depth] == nibble]
            branch[nibble] = self._reference(self._build(below, depth + 1))
        return branch

    def _reference(self, node: list[Any]) -> Any:
        encoded = self._encode(node)
        if len(encoded) < HASH_BYTES:
            return node
        digest = keccak(encoded)
        self._nodes[digest] = encoded
        return digest


def lookup(root: bytes, key: bytes, nodes: Iterable[bytes]) -> bytes | None:
    """Return what a trie has under a key, by the nodes on the way; None when they prove that it has nothing.

    Raises:
        ValueError: The nodes prove neither.
    """
    return _walk(root, _nibbles(key), {keccak(node): node for node in nodes})[0]


def _walk(root: bytes, path: bytes, nodes: Mapping[bytes, bytes]) -> tuple[bytes | None, list[bytes]]:
    import rlp
    from rlp.exceptions import RLPException

    passed: list[bytes] = []
    reference: Any = root
    while reference not in (b"", EMPTY_ROOT):
        node = reference
        if isinstance(reference, bytes):
            if reference not in nodes:
                raise ValueError("the proof lacks a node")
            passed.append(nodes[reference])
            try:
                node = rlp.decode(nodes[reference])
            except RLPException as error:
                raise ValueError(f"a node cannot be read: {error}") from error
        if not isinstance(node, list) or len(node) not in (2, 17):
            raise ValueError("a node is neither a branch nor a path")
        if len(node) == 17:
            if not path:
                return _value(node[16]), passed
            reference, path = node[path[0]], path[1:]
            continue
        part, leaf = _expand(node[0])
        if leaf:
            return (_value(node[1]) if part == path else None), passed
        if not path.startswith(part):
            return None, passed
        reference, path = node[1], path[len(part) :]
    return None, passed


def _value(item: Any) -> bytes | None:
    if not isinstance(item, bytes):
        raise ValueError("a value is not bytes")
    return item or None


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _compact(path: bytes, *, leaf: bool) -> bytes:
    flag, odd = 2 * leaf, len(path) % 2
    whole = bytes([flag + 1]) + path if odd else bytes([flag, 0]) + path
    return bytes(high << 4 | low for high, low in zip(whole[::2], whole[1::2], strict=True))


def _expand(compact: Any) -> tuple[bytes, bool]:
    if not isinstance(compact, bytes) or not compact or compact[0] >> 4 > 3:
        raise ValueError("a path cannot be read")
    nibbles = _nibbles(compact)
    return nibbles[1 if nibbles[0] & 1 else 2 :], nibbles[0] >= 2
