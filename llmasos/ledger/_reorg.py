"""Reorganisations: how far the chain is still the one in which our transactions were seen."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.ledger._queue import Place, Queue
from llmasos.ledger.chains.port import Chain
from llmasos.store import Store


async def requeue_lost(store: Store, chain: Chain, queue: Queue, mined: int) -> set[Place]:
    """Let everything wait again that the chain has lost, and return what that is.

    Args:
        mined: The account's number of mined transactions.
    """
    newest = await store.read(lambda work: queue.blocks(work, newest=True))
    ancestor = newest[0][0] if newest else 0
    if newest and not await holds(chain, *newest[0]):
        ancestor = await common_ancestor(chain, await store.read(queue.blocks))
    return await store.run(lambda work: queue.requeue(work, ancestor, mined))


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
