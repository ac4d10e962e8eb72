"""Questions to the ledger's tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from llmasos.ledger._drafts import carried
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import Filter

ACTIONS_AT_ONCE = 500
ENDS = {"intent": "intent", "outcome": "outcome", "cancel": "outcome"}


@dataclass(frozen=True)
class Counts:
    """How many records there are, what became of them, and what the transactions cost in wei."""

    records: int
    confirmed: int
    failed: int
    spent: int


def selected(which: Filter, what: Any = RecordRow) -> Select[Any]:
    """Return the query for the records that are meant.

    Args:
        what: What is wanted of them.
    """
    row, query = RecordRow, select(what)
    for column, value in ((row.session, which.session), (row.action, which.action), (row.tool, which.tool)):
        if value:
            query = query.where(column == value)
    if which.kinds:
        query = query.where(row.kind.in_(which.kinds))
    if which.since:
        query = query.where(row.at >= which.since)
    if which.until:
        query = query.where(row.at < which.until)
    return query.where(row.number > which.after) if which.after else query


def recorded(work: Session, actions: Sequence[str]) -> dict[tuple[str, str], dict[str, Any] | None]:
    """Return what was recorded of actions, by action and `intent` or `outcome`; None for what was erased."""
    query = select(RecordRow.action, RecordRow.kind, RecordRow.body).where(RecordRow.kind.in_(ENDS))
    wanted = list(dict.fromkeys(action for action in actions if action))
    found: dict[tuple[str, str], dict[str, Any] | None] = {}
    for start in range(0, len(wanted), ACTIONS_AT_ONCE):
        some = query.where(RecordRow.action.in_(wanted[start : start + ACTIONS_AT_ONCE]))
        for action, kind, body in work.execute(some.order_by(RecordRow.number)):
            found[action, ENDS[kind]] = None if body is None else json.loads(body)
    return found


def count(work: Session, chain_id: int, contract: str) -> Counts:
    """Count what a contract on a chain has taken."""
    row = OutboxRow
    records = work.scalar(select(func.count()).select_from(RecordRow)) or 0
    confirmed, failed = (
        int(work.scalar(select(func.coalesce(func.sum(carried(chain_id, contract, state).c.count), 0))) or 0)
        for state in ("confirmed", "failed")
    )
    costs = select(row.cost).where(row.chain_id == chain_id, row.cost != "0")
    return Counts(records, confirmed, failed, sum(int(cost) for cost in work.scalars(costs)))
