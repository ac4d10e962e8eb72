"""Rotation: handing everything to another key, one step after the other, wherever it was interrupted."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from llmasos.ledger import _contract
from llmasos.ledger._contract import TREE_KEY
from llmasos.ledger._digest import session_key
from llmasos.ledger._drafts import Draft
from llmasos.ledger._queue import Queue
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger.chains.port import Block, Chain, ChainRefused, Fees
from llmasos.store import Store

BATCH = 100
MOST_REFUSED = 3


async def next_drafts(store: Store, chain: Chain, queue: Queue, head: Block, fees: Fees) -> list[Draft]:
    """Return what the account has still to send before its successor can take over; nothing when it can.

    What was done is read from the chain and the outbox, so that it does not matter who did it, or when.

    Raises:
        ChainRefused: The contract refuses to hand the sessions over.
    """
    to = chain.successor
    done, refused = await store.read(lambda work: _sent(work, queue, to))
    if "fund" in done:
        return []
    if refused >= MOST_REFUSED:
        raise ChainRefused(
            f"The contract refuses to hand the sessions to {to}.",
            hint="`llmasos ledger verify` says what is wrong with them.",
        )
    keys = await _owned(store, chain, queue, head)
    # One is sent even if there is no session: it says on the chain who the successor is.
    if queue.contract and (keys or "rotate" not in done):
        starts = range(0, max(1, len(keys)), BATCH)
        return [Draft("rotate", data=_contract.rotate_call(keys[n : n + BATCH], to)) for n in starts]
    return await _fund(chain, to, fees)


async def _fund(chain: Chain, to: str, fees: Fees) -> list[Draft]:
    """Return the transfer of what remains, unless that is less than what the transfer costs."""
    cost = _contract.transaction(chain.sign(0, to, b"", fees, 0).raw).most
    rest = await chain.balance() - cost
    return [Draft("fund", to=to, value=rest)] if rest > 0 else []


async def _owned(store: Store, chain: Chain, queue: Queue, head: Block) -> list[bytes]:
    """Return the keys of the sessions that still belong to the account."""
    names = await store.read(lambda work: _opened(work, queue))
    keys = [TREE_KEY if route == "tree" else session_key(name) for name, route in names]
    keys, owned = list(dict.fromkeys(keys)), []
    for start in range(0, len(keys), BATCH):
        some = keys[start : start + BATCH]
        for key, state in zip(some, await chain.sessions(queue.contract, some, head), strict=True):
            if state.owner == chain.account:
                owned.append(key)
    return owned


def _opened(work: Session, queue: Queue) -> list[tuple[str, str]]:
    row = OutboxRow
    query = select(RecordRow.session, RecordRow.route).join(row, RecordRow.number == row.number)
    query = query.where(row.chain_id == queue.chain_id, row.contract == queue.contract, row.count > 0)
    return [(name, route) for name, route in work.execute(query.distinct())]


def _sent(work: Session, queue: Queue, to: str) -> tuple[set[str], int]:
    """Return which calls to a successor were mined, and how often handing over was refused."""
    row = OutboxRow
    query = select(row.call, row.state, row.raw).where(
        row.chain_id == queue.chain_id, row.account == queue.account
    )
    query = query.where(row.call.in_(("rotate", "fund")), row.state.in_(("confirmed", "failed")))
    done, refused = set(), 0
    for call, state, raw in work.execute(query):
        said = _contract.transaction(raw)
        if to != (said.to if call == "fund" else _contract.rotated_to(said.data)):
            continue
        if state == "confirmed":
            done.add(call)
        elif call == "rotate":
            refused += 1
    return done, refused
