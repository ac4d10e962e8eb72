"""Adoption: storing transactions that carry our records, and that the outbox does not know.

They were signed by a copy of this ledger, or by this one before its database was restored from a backup.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from llmasos.ledger import _contract
from llmasos.ledger._contract import TREE_KEY, Anchored, Appended, Logged
from llmasos.ledger._digest import session_key
from llmasos.ledger._drafts import TREE
from llmasos.ledger._merkle import root
from llmasos.ledger._queue import Queue
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger.chains.port import Block, Chain, ChainError, Receipt
from llmasos.store import Store


async def adopt(store: Store, chain: Chain, queue: Queue, line: str, known: int, head: Block) -> None:
    """Store the transactions that carry a line's records behind those we know, while they are the database's.

    Raises:
        ChainError: The chain cannot be reached, or does not give the transactions.
    """
    key = TREE_KEY if line == TREE else session_key(line)
    found: dict[str, list[Logged]] = {}
    async for event in chain.logged(queue.contract, 0, head.number, key):
        if (event.first if isinstance(event, Anchored) else event.seq) > known:
            found.setdefault(event.tx_hash, []).append(event)
    for tx_hash, events in found.items():
        number = await store.read(partial(_first_record, line=line, events=events))
        if not number:
            return
        (receipt,) = await chain.receipts([tx_hash])
        if receipt is None:
            raise ChainError(f"The transaction {tx_hash} has events and no receipt.")
        values = _values(queue, events, number, await _raw(chain, tx_hash), receipt)
        await store.run(partial(_store, values=values))


def _first_record(work: Session, line: str, events: Sequence[Logged]) -> int:
    """Return the number of the first record that events are about; 0 unless the database has them so."""
    first = events[0]
    query = select(RecordRow.number, RecordRow.digest)
    if isinstance(first, Anchored):
        query = query.where(RecordRow.route == "tree").order_by(RecordRow.number)
        leaves = work.execute(query.offset(first.first - 1).limit(first.count)).all()
        digests = [bytes.fromhex(digest) for _, digest in leaves]
        same = len(leaves) == first.count and root(digests) == first.root
        return leaves[0][0] if same else 0
    appended = [event.digest.hex() for event in events if isinstance(event, Appended)]
    query = query.where(RecordRow.session == line, RecordRow.seq >= first.seq).order_by(RecordRow.seq)
    rows = work.execute(query.limit(len(appended))).all()
    return rows[0][0] if [digest for _, digest in rows] == appended else 0


async def _raw(chain: Chain, tx_hash: str) -> bytes:
    """Return a transaction's bytes: the value in the last node of the proof that it is in its block."""
    import rlp

    inclusion = await chain.inclusion(tx_hash)
    raw: bytes = rlp.decode(inclusion.transaction[-1])[-1]
    if _contract.transaction_hash(raw) != tx_hash:
        raise ChainError(f"The chain gives other bytes than those of the transaction {tx_hash}.")
    return raw


def _values(
    queue: Queue, events: Sequence[Logged], number: int, raw: bytes, receipt: Receipt
) -> dict[str, Any]:
    first = events[0]
    one = "append" if len(events) == 1 else "many"
    return {
        "account": queue.account,
        "chain_id": queue.chain_id,
        "nonce": _contract.transaction(raw).nonce,
        "contract": queue.contract,
        "call": "anchor" if isinstance(first, Anchored) else one,
        "number": number,
        "count": first.count if isinstance(first, Anchored) else len(events),
        "raw": raw,
        "tx_hash": _contract.transaction_hash(raw),
        "state": "confirmed",
        "error": "",
        "block": receipt.block,
        "block_hash": receipt.block_hash,
        "cost": str(receipt.cost),
    }


def _store(work: Session, values: dict[str, Any]) -> None:
    row = OutboxRow
    place = [getattr(row, name) == values[name] for name in ("account", "chain_id", "nonce")]
    known = work.execute(update(row).where(*place, row.tx_hash == values["tx_hash"]).values(values))
    if known.rowcount:  # type: ignore[attr-defined]
        return
    attempt = work.scalar(select(func.coalesce(func.max(row.attempt) + 1, 0)).where(*place))
    work.execute(insert(row), [{**values, "attempt": attempt}])
