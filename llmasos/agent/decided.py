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


Place = tuple[str, int]
"""A stored event, by its session and its number."""


async def newest_decisions(store: Store, limit: int, sessions: Sequence[str] | None = None) -> list[Decided]:
    """Return the newest decisions, of the sessions that were used last.

    Args:
        store: The database.
        limit: How many at most.
        sessions: Those whose decisions may be seen; None means all.
    """

    def work(transaction: Transaction) -> tuple[list[str], list[str]]:
        calls, answers = _places(transaction, limit, sessions)
        return _bodies(transaction, calls), _bodies(transaction, answers)

    calls, answers = await store.read(work)
    # Arguments that were edited are decided on again, after the answer.
    answered = {
        one.action: one for one in map(EVENT.validate_json, answers) if isinstance(one, ApprovalResolved)
    }
    found = [one for one in map(EVENT.validate_json, calls) if isinstance(one, CallDecided)]
    found.sort(key=lambda one: one.at, reverse=True)
    return [Decided(one, answered.get(one.action)) for one in found]


async def newest_places(
    store: Store, limit: int, sessions: Sequence[str] | None = None
) -> tuple[Sequence[Place], Sequence[Place]]:
    """Return where those decisions and their answers stand, which is other when something new was decided."""
    return await store.read(lambda transaction: _places(transaction, limit, sessions))


def _places(
    transaction: Transaction, limit: int, sessions: Sequence[str] | None
) -> tuple[list[Place], list[Place]]:
    """Return the places of decisions and of answers, session by session, as far as they are needed."""
    decided = select(EventRow.seq).where(EventRow.session == SessionRow.id, EventRow.type == "call_decided")
    used = select(SessionRow.id).where(decided.exists())
    if sessions is not None:
        used = used.where(SessionRow.id.in_(sessions))
    calls: list[Place] = []
    answers: list[Place] = []
    for session in transaction.scalars(used.order_by(SessionRow.updated.desc()).limit(limit)).all():
        for found, kind, most in (
            (calls, "call_decided", limit - len(calls)),
            (answers, "approval_resolved", limit),
        ):
            newest = select(EventRow.seq).where(EventRow.session == session, EventRow.type == kind)
            newest = newest.order_by(EventRow.seq.desc()).limit(most)
            found += [(session, seq) for seq in transaction.scalars(newest)]
        if len(calls) >= limit:
            break
    return calls, answers


def _bodies(transaction: Transaction, places: Sequence[Place]) -> list[str]:
    numbers: dict[str, list[int]] = {}
    for session, seq in places:
        numbers.setdefault(session, []).append(seq)
    return [
        body
        for session, wanted in numbers.items()
        for body in transaction.scalars(
            select(EventRow.body).where(EventRow.session == session, EventRow.seq.in_(wanted))
        )
    ]
