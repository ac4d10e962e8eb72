"""What the policy decided, over all sessions, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow, SessionRow
from llmasos.events import EVENT, ApprovalResolved, CallDecided
from llmasos.store import Store


@dataclass(frozen=True)
class Decided:
    """A decision on a call, and a person's answer where one was asked."""

    call: CallDecided
    answer: ApprovalResolved | None = None


async def newest_decisions(store: Store, limit: int, sessions: Sequence[str] | None = None) -> list[Decided]:
    """Return the newest decisions, of the sessions that were used last.

    Args:
        store: The database.
        limit: How many at most.
        sessions: Those whose decisions may be seen; None means all.
    """

    def bodies(transaction: Transaction, kind: str) -> list[str]:
        query = select(EventRow.body).join(SessionRow, SessionRow.id == EventRow.session)
        query = query.where(EventRow.type == kind)
        if sessions is not None:
            query = query.where(EventRow.session.in_(sessions))
        return list(
            transaction.scalars(query.order_by(SessionRow.updated.desc(), EventRow.seq.desc()).limit(limit))
        )

    def work(transaction: Transaction) -> tuple[list[str], list[str]]:
        return bodies(transaction, "call_decided"), bodies(transaction, "approval_resolved")

    calls, answers = await store.read(work)
    # Arguments that were edited are decided on again, after the answer.
    answered = {
        one.action: one for one in map(EVENT.validate_json, answers) if isinstance(one, ApprovalResolved)
    }
    found = [one for one in map(EVENT.validate_json, calls) if isinstance(one, CallDecided)]
    found.sort(key=lambda one: one.at, reverse=True)
    return [Decided(one, answered.get(one.action)) for one in found]
