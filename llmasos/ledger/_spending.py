"""Spending: what transactions cost within a day, and whether more may be spent."""

from __future__ import annotations

import time
from collections import deque

from sqlalchemy import select

from llmasos.ledger._queue import Queue
from llmasos.ledger._tables import OutboxRow
from llmasos.ledger.chains.port import Chain
from llmasos.store import Store

DAY_SECONDS = 86_400
WEI = 10**18


class Spending:
    """What was spent in the last 24 hours, by the chain's own blocks.

    Args:
        cap: The most to spend in that time, in the chain's coin; 0 means no limit.
    """

    def __init__(self, store: Store, chain: Chain, cap: float) -> None:
        self._store, self._chain = store, chain
        self.cap = round(cap * 10**9) * 10**9
        self._costs: deque[tuple[int, int]] = deque()

    async def load(self, queue: Queue) -> None:
        """Read what was spent."""
        self._costs.clear()
        if not self.cap:
            return
        head = await self._chain.block()
        first = await self._first_block(head.number if head else 0)
        row = OutboxRow
        query = select(row.block, row.cost).where(
            row.chain_id == queue.chain_id, row.block >= first, row.block > 0
        )
        rows = await self._store.read(lambda work: work.execute(query.order_by(row.block)).all())
        self._costs.extend((block, int(cost)) for block, cost in rows)

    def add(self, block: int, cost: int) -> None:
        """Count a transaction that was mined."""
        if self.cap:
            self._costs.append((block, cost))

    async def spent(self) -> int:
        """Return what was spent in the last 24 hours, in wei."""
        while self._costs and await self._is_old(self._costs[0][0]):
            oldest = self._costs[0][0]
            while self._costs and self._costs[0][0] <= oldest:
                self._costs.popleft()
        return sum(cost for _, cost in self._costs)

    async def _is_old(self, number: int) -> bool:
        block = await self._chain.block(number)
        return block is None or block.time < time.time() - DAY_SECONDS

    async def _first_block(self, newest: int) -> int:
        low, high = 0, newest
        while low < high:
            middle = (low + high) // 2
            if await self._is_old(middle):
                low = middle + 1
            else:
                high = middle
        return low


def coins(wei: int) -> str:
    """Return an amount in the chain's coin, as people read it."""
    return f"{wei / WEI:.9f}".rstrip("0").rstrip(".")
