"""Merkle Patricia tries: reading one, proving what is in it, and writing many values at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from llmasos.ledger._digest import keccak

BLANK_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
HASH_BYTES = 32
BRANCH = 17
CACHED_NODES = 2_000

Node = list[Any]
"""A leaf or extension of two items, or a branch of 17; a child is its hash, or the node itself."""


def walk(nodes: Mapping[bytes, bytes], root: bytes, key: bytes) -> tuple[list[bytes], bytes]:
    """Return the nodes from a trie's root towards a key, and the value there; empty when it is absent.

    Raises:
        KeyError: A node is missing.
    """
    path, walked = key.hex(), []
    reference: Any = root if root != BLANK_ROOT else b""
    while reference:
        # A child of less than 32 bytes lies inside its parent, and is proved with it.
        node = reference
        if isinstance(reference, bytes):
            walked.append(nodes[reference])
            node = _node(walked[-1])
        if len(node) == BRANCH:
            if not path:
                return walked, node[16]
            reference, path = node[int(path[0], 16)], path[1:]
            continue
        part, leaf = unpacked(node[0])
        if leaf:
            return walked, node[1] if part == path else b""
        if not path.startswith(part):
            break
        reference, path = node[1], path[len(part) :]
    return walked, b""


def written(
    nodes: Mapping[bytes, bytes], root: bytes, values: Mapping[bytes, bytes]
) -> tuple[bytes, dict[bytes, bytes]]:
    """Return a trie's root after values were set, and the nodes that are new.

    Args:
        values: What is set, by keys of one length; no value is empty.
    """
    top: Any = root if root != BLANK_ROOT else b""
    for key, value in values.items():
        top = _put(nodes, top, key.hex(), value)
    new: dict[bytes, bytes] = {}
    sealed = _sealed(top, new)
    if isinstance(sealed, list):
        encoded = encode(sealed)
        sealed = keccak(encoded)
        new[sealed] = encoded
    return sealed, new


@lru_cache(CACHED_NODES)
def _node(data: bytes) -> Node:
    """Return a node, which must not be changed: what a transaction reads, it mostly writes then."""
    node: Node = decode(data)
    return node


def _put(nodes: Mapping[bytes, bytes], reference: Any, path: str, value: bytes) -> Node:
    """Return a node with a value set below it; its children are hashed later, when no more is set."""
    if not reference:
        return [packed(path, leaf=True), value]
    node = [*(_node(nodes[reference]) if isinstance(reference, bytes) else reference)]
    if len(node) == BRANCH:
        place = int(path[0], 16)
        node[place] = _put(nodes, node[place], path[1:], value)
        return node
    part, leaf = unpacked(node[0])
    if leaf and part == path:
        return [node[0], value]
    if not leaf and path.startswith(part):
        return [node[0], _put(nodes, node[1], path[len(part) :], value)]
    shared = next(
        place for place, (ours, theirs) in enumerate(zip(path, part, strict=False)) if ours != theirs
    )
    branch: Node = [b""] * BRANCH
    rest = part[shared + 1 :]
    branch[int(part[shared], 16)] = [packed(rest, leaf=leaf), node[1]] if leaf or rest else node[1]
    branch[int(path[shared], 16)] = [packed(path[shared + 1 :], leaf=True), value]
    return [packed(path[:shared], leaf=False), branch] if shared else branch


def _sealed(node: Any, new: dict[bytes, bytes]) -> Any:
    """Return how a node is referred to: by its hash, or by itself if that is shorter."""
    if not isinstance(node, list):
        return node
    for place, item in enumerate(node):
        if isinstance(item, list):
            node[place] = _sealed(item, new)
    encoded = encode(node)
    if len(encoded) < HASH_BYTES:
        return node
    digest = keccak(encoded)
    new[digest] = encoded
    return digest


def packed(path: str, *, leaf: bool) -> bytes:
    """Return the path of a leaf or extension in bytes.

    Source: the yellow paper, appendix C.
    """
    odd = len(path) % 2
    return bytes.fromhex(f"{2 * leaf + odd}{'' if odd else '0'}{path}")


def unpacked(path: bytes) -> tuple[str, bool]:
    """Return the path in a leaf or extension in hexadecimal, and whether it is a leaf."""
    text = path.hex()
    flag = int(text[0], 16)
    return text[1 if flag & 1 else 2 :], bool(flag & 2)


def encode(item: bytes | list[Any]) -> bytes:
    """Return bytes, or a list of such, in RLP: several times as fast as a library that takes any object."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefix(len(item), 0x80) + item
    inside = b"".join([encode(each) for each in item])
    return _prefix(len(inside), 0xC0) + inside


def _prefix(size: int, base: int) -> bytes:
    if size < 56:
        return bytes((base + size,))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((base + 55 + len(length),)) + length


def decode(data: bytes) -> Any:
    """Return what RLP says; only for what we encoded ourselves, or whose hash was checked."""
    return _decoded(data, 0)[0]


def _decoded(data: bytes, start: int) -> tuple[Any, int]:
    first = data[start]
    if first < 0x80:
        return data[start : start + 1], start + 1
    base = 0x80 if first < 0xC0 else 0xC0
    size, start = first - base, start + 1
    if size > 55:
        width = size - 55
        size, start = int.from_bytes(data[start : start + width], "big"), start + width
    end = start + size
    if end > len(data):
        raise ValueError("the RLP ends too early")
    if base == 0x80:
        return data[start:end], end
    items: list[Any] = []
    while start < end:
        first = data[start]
        # Most items are hashes and gaps of branches: they need no call.
        if 0x80 <= first <= 0xB7:
            following = start + 1 + first - 0x80
            items.append(data[start + 1 : following])
            start = following
        else:
            item, start = _decoded(data, start)
            items.append(item)
    if start > end:
        raise ValueError("the RLP ends too early")
    return items, end
