"""Reorganisations: how far the chain is still the one in which our transactions were seen."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.ledger.chains.port import Chain


async def common_ancestor(chain: Chain, seen: Sequence[tuple[int, str]]) -> int:
    """Return the newest of blocks that is still in the chain; 0 when none is.

    A block stands for all before it, so few of them need be asked for, however deep the fork is.

    Args:
        seen: The blocks' numbers and hashes, oldest first.
    """
    low, high = 0, len(seen)
    while low < high:
        middle = (low + high) // 2
        if await holds(chain, *seen[middle]):
            low = middle + 1
        else:
            high = middle
    return seen[low - 1][0] if low else 0


async def holds(chain: Chain, number: int, block_hash: str) -> bool:
    """Return whether a block is in the chain."""
    block = await chain.block(number)
    return block is not None and block.hash == block_hash
