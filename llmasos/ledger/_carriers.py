"""Carriers: the transactions in which records are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from llmasos.ledger._tables import OutboxRow, RecordRow

MOST_RECORDS = 10_000
"""Records in one transaction at most, as the setting allows."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A transaction, as far as its records need it."""

    tx_hash: str
    state: str
    block: int


def carriers(session: Session, chain_id: int, contract: str, rows: Sequence[RecordRow]) -> dict[int, Carrier]:
    """Return the transactions of a contract that carry records, by the records' numbers."""
    found: dict[int, Carrier] = {}
    by_session: dict[str, list[RecordRow]] = {}
    leaves: list[int] = []
    for row in rows:
        if row.route == "tree":
            leaves.append(row.number)
        else:
            by_session.setdefault(row.session, []).append(row)
    for name, some in by_session.items():
        _of_session(session, _sent(chain_id, contract), name, {row.seq: row.number for row in some}, found)
    if leaves:
        _of_trees(session, _sent(chain_id, contract), leaves, found)
    return found


def _sent(chain_id: int, contract: str) -> Select[str, str, int, int, int]:
    row = OutboxRow
    query = select(row.tx_hash, row.state, row.block, row.count, row.number)
    query = query.where(
        row.chain_id == chain_id, row.contract == contract, row.count > 0, row.state != "replaced"
    )
    # What comes later wins: a newer attempt, and above all what was mined.
    rank = case({"failed": 0, "pending": 1}, value=row.state, else_=2)
    return query.order_by(rank, row.nonce, row.attempt)


def _of_session(
    session: Session,
    sent: Select[str, str, int, int, int],
    name: str,
    numbers: dict[int, int],
    found: dict[int, Carrier],
) -> None:
    first, last = min(numbers), max(numbers)
    query = sent.add_columns(RecordRow.seq).join(RecordRow, RecordRow.number == OutboxRow.number)
    query = query.where(RecordRow.session == name, RecordRow.seq.between(first - MOST_RECORDS, last))
    query = query.where(RecordRow.seq + OutboxRow.count > first)
    for tx_hash, state, block, count, _, seq in session.execute(query):
        carrier = Carrier(tx_hash, state, block)
        for place in range(max(seq, first), min(seq + count - 1, last) + 1):
            if place in numbers:
                found[numbers[place]] = carrier


def _of_trees(
    session: Session,
    sent: Select[str, str, int, int, int],
    leaves: list[int],
    found: dict[int, Carrier],
) -> None:
    anchors = sent.where(OutboxRow.call == "anchor")
    earlier = anchors.where(OutboxRow.number <= min(leaves)).order_by(None).subquery()
    before = select(func.max(earlier.c.number))
    start = session.scalar(before) or min(leaves)
    for tx_hash, state, block, count, number in session.execute(
        anchors.where(OutboxRow.number.between(start, max(leaves)))
    ):
        behind = select(RecordRow.number).where(RecordRow.route == "tree", RecordRow.number >= number)
        last = session.scalar(behind.order_by(RecordRow.number).offset(count - 1).limit(1)) or number
        carrier = Carrier(tx_hash, state, block)
        found.update((leaf, carrier) for leaf in leaves if number <= leaf <= last)
