"""Trees as RFC 9162 defines them."""

from __future__ import annotations

import hashlib

import pytest

from llmasos.ledger._merkle import Tree, root
from llmasos.ledger.check import Forged, tree_root

DIGESTS = [hashlib.sha256(bytes([n])).digest() for n in range(70)]


def defined_root(digests: list[bytes]) -> bytes:
    """The definition of RFC 9162, section 2.1.1, word for word."""
    if len(digests) == 1:
        return hashlib.sha256(b"\0" + digests[0]).digest()
    split = defined_split(len(digests))
    return hashlib.sha256(b"\1" + defined_root(digests[:split]) + defined_root(digests[split:])).digest()


def defined_path(index: int, digests: list[bytes]) -> list[bytes]:
    """The definition of section 2.1.3.1."""
    if len(digests) == 1:
        return []
    split = defined_split(len(digests))
    if index < split:
        return [*defined_path(index, digests[:split]), defined_root(digests[split:])]
    return [*defined_path(index - split, digests[split:]), defined_root(digests[:split])]


def defined_split(count: int) -> int:
    split = 1
    while split * 2 < count:
        split *= 2
    return split


def verify(digest: bytes, index: int, count: int, path: list[bytes], top: bytes) -> bool:
    """Return whether those who check a proof find the digest in the tree with this root."""
    try:
        return tree_root(digest, index, count, b"".join(path)) == top
    except Forged:
        return False


@pytest.mark.parametrize("count", [*range(1, 20), 31, 32, 33, 63, 64, 65, 70])
def test_roots_and_paths_are_those_of_the_definition(count: int) -> None:
    digests = DIGESTS[:count]
    assert root(digests) == defined_root(digests)
    for index in range(count):
        assert Tree(digests).path(index) == defined_path(index, digests)
        assert verify(digests[index], index, count, Tree(digests).path(index), root(digests))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 13])
def test_a_path_proves_its_leaf_at_its_place_and_nothing_else(count: int) -> None:
    digests, top = DIGESTS[:count], root(DIGESTS[:count])
    for index in range(count):
        good = Tree(digests).path(index)
        assert not any(
            verify(digests[index], other, count, good, top) for other in range(count) if other != index
        )
        assert not verify(DIGESTS[69], index, count, good, top)
        assert not verify(digests[index], index, count, [*good, bytes(32)], top)
        assert not verify(digests[index], index, count, [node[:31] for node in good] or [bytes(31)], top)
        assert not verify(digests[index], count, count, good, top)
        assert not verify(digests[index], -1, count, good, top)
        for cut in range(len(good)):
            assert not verify(digests[index], index, count, good[:cut], top)


def test_a_node_does_not_pass_for_a_leaf() -> None:
    leaves = [hashlib.sha256(b"\0" + digest).digest() for digest in DIGESTS[:4]]
    top = root(DIGESTS[:4])
    assert not verify(
        leaves[0] + leaves[1], 0, 2, [hashlib.sha256(b"\1" + leaves[2] + leaves[3]).digest()], top
    )


def test_a_tree_has_leaves() -> None:
    with pytest.raises(ValueError, match="leaf"):
        Tree([])
    with pytest.raises(IndexError):
        Tree(DIGESTS[:3]).path(3)
