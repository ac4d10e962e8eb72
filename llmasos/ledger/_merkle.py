"""Merkle trees over record digests, as RFC 9162 has them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


class Tree:
    """A tree over digests; leaves are hashed after 0x00 and nodes after 0x01, so none passes for the other.

    RFC 9162 splits at the largest power of two below the number of leaves. Joining neighbours level by level,
    where the last one of an odd number moves up as it is, gives the same tree.

    Args:
        digests: The leaves' contents, at least one.
    """

    def __init__(self, digests: Sequence[bytes]) -> None:
        if not digests:
            raise ValueError("a tree needs a leaf")
        sha256 = hashlib.sha256
        level = [sha256(b"\0" + digest).digest() for digest in digests]
        self._levels = [level]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            above = [sha256(b"\1" + left + right).digest() for left, right in pairs]
            level = above + level[len(above) * 2 :]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """The hash over all leaves."""
        return self._levels[-1][0]

    def path(self, index: int) -> list[bytes]:
        """Return the siblings on the way from a leaf to the root.

        Args:
            index: The leaf's place, from 0.

        Raises:
            IndexError: There is no such leaf.
        """
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(index)
        siblings = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                siblings.append(level[index ^ 1])
            index >>= 1
        return siblings


class Peaks:
    """The same tree of leaves that come one by one; it holds one hash per level, and gives no paths."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, digest: bytes) -> None:
        """Append a leaf."""
        size, node = 1, hashlib.sha256(b"\0" + digest).digest()
        while self._peaks and self._peaks[-1][0] == size:
            node = hashlib.sha256(b"\1" + self._peaks.pop()[1] + node).digest()
            size *= 2
        self._peaks.append((size, node))

    @property
    def root(self) -> bytes:
        """The root over the leaves so far."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        node = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


def root(digests: Sequence[bytes]) -> bytes:
    """Return the root of the tree over digests."""
    return Tree(digests).root
