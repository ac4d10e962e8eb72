"""The queue: the signed transactions in the database, and those of them that are under way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, case, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from llmasos.ledger._drafts import TREE, Draft
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger.chains.port import Receipt, Signed

Place = tuple[str, int]
"""An account and a nonce."""

_table: Table = OutboxRow.metadata.tables[OutboxRow.__tablename__]
_SETTLE = update(_table).where(
    _table.c.account == bindparam("a"),
    _table.c.chain_id == bindparam("c"),
    _table.c.nonce == bindparam("n"),
    _table.c.attempt == bindparam("t"),
)

NONCE_TAKEN = "another transaction used its nonce"


@dataclass(slots=True)
class Slot:
    """A nonce that is under way: one call, and all the attempts at it, the newest last.

    Args:
        sent: Whether the newest attempt was sent by this process.
        block: The chain's newest block when it was.
        since: When it first was, by a clock that never jumps; 0 before.
    """

    account: str
    nonce: int
    contract: str
    call: str
    number: int
    count: int
    line: str | None
    attempts: list[Signed]
    sent: bool = False
    block: int = 0
    since: float = 0.0

    @property
    def place(self) -> Place:
        """Its account and nonce."""
        return self.account, self.nonce

    def mark_sent(self, block: int) -> None:
        """Note that the newest attempt was sent."""
        self.sent, self.block, self.since = True, block, self.since or time.monotonic()

    def offer(self, signed: Signed) -> None:
        """Add a newer attempt."""
        self.attempts.append(signed)
        self.sent, self.since = False, 0.0


@dataclass(frozen=True)
class Settled:
    """What became of a slot: which attempt was mined, and how; none when its nonce is lost to us."""

    slot: Slot
    attempt: int = -1
    receipt: Receipt | None = None


class Queue:
    """The transactions of one account, and of those before it, for one contract.

    Args:
        chain_id: The chain.
        account: The account that signs.
        contract: The contract's address; empty while there is none.
    """

    def __init__(self, chain_id: int, account: str, contract: str) -> None:
        self.chain_id, self.account, self.contract = chain_id, account, contract

    def ours(self) -> ColumnElement[bool]:
        """Select the transactions that the queue is about."""
        row = OutboxRow
        return and_(
            row.chain_id == self.chain_id, or_(row.account == self.account, row.contract == self.contract)
        )

    def add(self, session: Session, slots: Sequence[Slot]) -> None:
        """Store an attempt of each slot, its newest."""
        if slots:
            session.connection().execute(insert(_table), [self._values(slot) for slot in slots])

    def load(self, session: Session, limit: int) -> tuple[list[Slot], bool]:
        """Return the first transactions that wait, by nonce, and whether there are more."""
        row = OutboxRow
        query = (
            select(
                row.account,
                row.nonce,
                row.contract,
                row.call,
                row.number,
                row.count,
                RecordRow.session,
                RecordRow.route,
                row.raw,
                row.tx_hash,
            )
            .outerjoin(RecordRow, RecordRow.number == row.number)
            .where(self.ours(), row.state == "pending")
            .order_by(case((row.account == self.account, 1), else_=0), row.nonce, row.attempt)
            .limit(limit + 1)
        )
        slots: list[Slot] = []
        rows = session.execute(query).all()
        for account, nonce, contract, call, number, count, name, route, raw, tx_hash in rows:
            line = TREE if route == "tree" else name
            if not slots or slots[-1].place != (account, nonce):
                slots.append(Slot(account, nonce, contract, call, number, count, line, []))
            slots[-1].attempts.append(Signed(raw, tx_hash))
        more = len(rows) > limit
        # The attempts at the last nonce may have been cut off.
        return (slots[:-1] if more and len(slots) > 1 else slots), more

    def settle(self, session: Session, settled: Iterable[Settled]) -> None:
        """Store what became of slots."""
        values: list[dict[str, Any]] = []
        for one in settled:
            for attempt in range(len(one.slot.attempts)):
                state, error, block, block_hash, cost = "replaced", "", 0, "", 0
                if one.receipt is None:
                    error = NONCE_TAKEN
                elif attempt == one.attempt:
                    state = "confirmed" if one.receipt.ok else "failed"
                    block, block_hash, cost = one.receipt.block, one.receipt.block_hash, one.receipt.cost
                values.append(
                    {
                        "a": one.slot.account,
                        "n": one.slot.nonce,
                        "t": attempt,
                        "state": state,
                        "error": error,
                        "block": block,
                        "block_hash": block_hash,
                        "cost": str(cost),
                    }
                )
        if values:
            session.connection().execute(_SETTLE, [{**one, "c": self.chain_id} for one in values])

    def requeue(self, session: Session, ancestor: int, mined: int) -> set[Place]:
        """Let everything wait again that is not in the chain any more, and return it.

        Args:
            ancestor: The newest block that we know and that is still in the chain.
            mined: The account's number of mined transactions.
        """
        row = OutboxRow
        unmined = and_(row.account == self.account, row.nonce >= mined)
        lost = select(row.account, row.nonce).where(self.ours(), row.state != "pending")
        places = {
            (account, nonce)
            for account, nonce in session.execute(lost.where(or_(row.block > ancestor, unmined)))
        }
        again = {"state": "pending", "error": "", "block": 0, "block_hash": "", "cost": "0"}
        ordered = sorted(places)
        for start in range(0, len(ordered), 400):
            these = tuple_(row.account, row.nonce).in_(ordered[start : start + 400])
            session.execute(update(row).where(row.chain_id == self.chain_id, these).values(again))
        return places

    def blocks(self, session: Session, *, newest: bool = False) -> list[tuple[int, str]]:
        """Return the blocks that hold our transactions, oldest first, or only the newest."""
        row = OutboxRow
        query = select(row.block, row.block_hash).where(self.ours(), row.block > 0).distinct()
        if newest:
            return [(n, h) for n, h in session.execute(query.order_by(row.block.desc()).limit(1))]
        return [(n, h) for n, h in session.execute(query.order_by(row.block))]

    def next_nonce(self, session: Session) -> int:
        """Return the nonce behind the highest that we have used."""
        row = OutboxRow
        highest = select(func.max(row.nonce)).where(
            row.chain_id == self.chain_id, row.account == self.account
        )
        newest = session.scalar(highest)
        return 0 if newest is None else newest + 1

    def refused(self, session: Session) -> set[str]:
        """Return the lines with transactions that the contract refused."""
        row = OutboxRow
        query = (
            select(RecordRow.session, RecordRow.route).join(row, RecordRow.number == row.number).distinct()
        )
        query = query.where(self.ours(), row.contract == self.contract, row.state == "failed")
        return {TREE if route == "tree" else name for name, route in session.execute(query)}

    def give_up(self, session: Session, why: str) -> None:
        """Let nothing wait any more that was meant for the contract, and forget its deployment."""
        row = OutboxRow
        gone = and_(row.chain_id == self.chain_id, row.contract == self.contract)
        session.execute(update(row).where(gone, row.state == "pending").values(state="replaced", error=why))
        session.execute(
            update(row)
            .where(gone, row.call == "deploy", row.state == "confirmed")
            .values(state="replaced", error=why)
        )

    def deployment(self, session: Session) -> tuple[str, int, str, str] | None:
        """Return the account, the nonce, the state and the hash of the contract's deployment."""
        row = OutboxRow
        query = select(row.account, row.nonce, row.state, row.tx_hash)
        query = query.where(
            row.chain_id == self.chain_id, row.contract == self.contract, row.call == "deploy"
        )
        found = session.execute(query.where(row.state.in_(("pending", "confirmed"))).limit(1)).first()
        return tuple(found) if found else None  # type: ignore[return-value]

    def _values(self, slot: Slot) -> dict[str, Any]:
        return {
            "account": slot.account,
            "chain_id": self.chain_id,
            "nonce": slot.nonce,
            "attempt": len(slot.attempts) - 1,
            "contract": slot.contract,
            "call": slot.call,
            "number": slot.number,
            "count": slot.count,
            "raw": slot.attempts[-1].raw,
            "tx_hash": slot.attempts[-1].tx_hash,
            "state": "pending",
            "error": "",
            "block": 0,
            "block_hash": "",
            "cost": "0",
        }


def slot_of(draft: Draft, account: str, nonce: int, contract: str, signed: Signed) -> Slot:
    """Return a draft that was signed."""
    return Slot(account, nonce, contract, draft.call, draft.number, draft.count, draft.line, [signed])
