"""Tries: the same roots and proofs as py-trie's, and proofs that cannot be forged."""

from __future__ import annotations

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.ledger._digest import use_native_code
from llmasos.ledger.chains.patricia import EMPTY_ROOT, Trie, lookup

use_native_code()

ITEMS = st.dictionaries(st.binary(max_size=4), st.binary(min_size=1, max_size=40), max_size=30)


@settings(max_examples=60, deadline=None)
@given(items=ITEMS, absent=st.binary(max_size=4))
def test_roots_and_proofs_are_those_of_another_implementation(
    items: dict[bytes, bytes], absent: bytes
) -> None:
    from trie.hexary import HexaryTrie

    other = HexaryTrie({})
    for key, value in items.items():
        other[key] = value
    trie = Trie(items)
    assert trie.root == other.root_hash
    for key in [*items, absent]:
        proof = trie.proof(key)
        assert lookup(trie.root, key, proof) == items.get(key)
        # Nodes of less than 32 bytes lie in the one above and are not listed again.
        whole = [rlp.encode(node) for node in other.get_proof(key)]  # type: ignore[no-untyped-call]
        assert (
            list(proof)
            == [node for place, node in enumerate(whole) if place == 0 or len(node) >= 32][: len(proof)]
        )


@settings(max_examples=60, deadline=None)
@given(items=ITEMS.filter(bool), data=st.data())
def test_a_changed_proof_proves_nothing_else(items: dict[bytes, bytes], data: st.DataObject) -> None:
    trie = Trie(items)
    key = data.draw(st.sampled_from(sorted(items)))
    nodes = [bytearray(node) for node in trie.proof(key)]
    node = data.draw(st.sampled_from(nodes))
    node[data.draw(st.integers(0, len(node) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="lacks a node"):
        lookup(trie.root, key, map(bytes, nodes))


def test_a_trie_without_items_has_the_known_root() -> None:
    assert Trie({}).root == EMPTY_ROOT
    assert lookup(EMPTY_ROOT, b"key", []) is None
    assert lookup(EMPTY_ROOT, b"key", [b"\x80"]) is None


@pytest.mark.parametrize(
    "node",
    [
        b"\xff\xff",
        b"",
        b"\x83abc",
        rlp.encode([b"\x20"]),
        rlp.encode([b"", b"value" * 8]),
        rlp.encode([b"\x40", b"value" * 8]),
        rlp.encode([b"\x00\x61", b"short"]),
        rlp.encode([b"\x20\x61", [b"list"] * 9]),
        rlp.encode([[b"list"], b"value" * 8]),
        rlp.encode([b""] * 6 + [b"short"] + [b""] * 10),
    ],
)
def test_nodes_that_are_none_are_refused(node: bytes) -> None:
    from llmasos.ledger._digest import keccak

    with pytest.raises(ValueError):
        lookup(keccak(node), b"a", [node])
