"""Lineage: a fork goes on from turns of another session, which stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow, SessionRow, TurnRow
from llmasos.errors import SessionError


@dataclass(frozen=True)
class Stretch:
    """A part of a conversation, as one session holds it.

    Args:
        session: The session.
        turn: The number of its last turn that belongs to it; None for all.
        seq: The number of its last event that belongs to it; None for all.
    """

    session: str
    turn: int | None = None
    seq: int | None = None


Lineage = Sequence[Stretch]


@dataclass(frozen=True)
class Place:
    """The end of a turn, from which another session can go on.

    Args:
        session: The session that holds the turn, or a fork of it that has none of its own yet.
        turn: The turn's id.
        number: Its number in the conversation.
        seq: The number of the last event before the next turn.
        newest: Whether it is the last one of the conversation.
    """

    session: str
    turn: str
    number: int
    seq: int
    newest: bool


def lineage(transaction: Transaction, session: str) -> Lineage:
    """Return what a session's conversation is made of, the oldest part first."""
    found = [Stretch(session)]
    row = transaction.get(SessionRow, session)
    while row is not None and row.parent:
        found.append(Stretch(row.parent, row.parent_turn, row.parent_seq))
        row = transaction.get(SessionRow, row.parent)
    return found[::-1]


def events_of(parts: Lineage) -> ColumnElement[bool]:
    """Return the condition for the events of a conversation."""
    return or_(*(_up_to(EventRow.session == part.session, EventRow.seq, part.seq) for part in parts))


def turns_of(parts: Lineage) -> ColumnElement[bool]:
    """Return the condition for the turns of a conversation."""
    return or_(*(_up_to(TurnRow.session == part.session, TurnRow.number, part.turn) for part in parts))


def find_place(transaction: Transaction, session: str, wanted: str) -> Place:
    """Return where another session can go on.

    Args:
        transaction: The transaction.
        session: The session that is forked.
        wanted: The turn, by its id or number; the newest that has ended when it is empty.

    Raises:
        SessionError: There is no such turn, or it has not ended.
    """
    parts = lineage(transaction, session)
    query = select(TurnRow).where(turns_of(parts)).order_by(TurnRow.number.desc()).limit(1)
    newest = transaction.scalar(query)
    if wanted:
        number = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 10 else 0
        found = transaction.scalar(query.where(or_(TurnRow.id == wanted, TurnRow.number == number)))
        if found is None:
            raise SessionError(
                f"The session {session} has no turn {wanted[:100]!r}.",
                hint="Name a turn by its number, from 1, or by its id.",
            )
        if not found.status:
            raise SessionError("That turn has not ended.", hint="Wait for it, or name an earlier one.")
    else:
        found = transaction.scalar(query.where(TurnRow.status != ""))
    if found is None or newest is None:
        raise SessionError(
            f"The session {session} has no turn that has ended.", hint="Begin another session on the folder."
        )
    if not wanted and found.session != session:
        # What was decided in a fork before it had a turn of its own goes along, too.
        here, end = session, _before_own_turns(transaction, parts)
    else:
        here, end = found.session, _end(transaction, found)
    return Place(here, found.id, found.number, end, newest=found.id == newest.id)


def _before_own_turns(transaction: Transaction, parts: Lineage) -> int:
    """Return the number of the last event of a fork before its first turn."""
    own = EventRow.session == parts[-1].session
    first = transaction.scalar(select(func.min(EventRow.seq)).where(own, EventRow.type == "turn_started"))
    if first is not None:
        return first - 1
    return transaction.scalar(select(func.max(EventRow.seq)).where(own)) or parts[-2].seq or 0


def _end(transaction: Transaction, turn: TurnRow) -> int:
    """Return the number of the last event before the turn after this one."""
    here = EventRow.session == turn.session
    last = select(func.max(EventRow.seq)).where(here)
    own = transaction.scalar(last.where(EventRow.turn == turn.id)) or 0
    later = select(func.min(EventRow.seq)).where(here, EventRow.type == "turn_started", EventRow.seq > own)
    following = transaction.scalar(later)
    return following - 1 if following is not None else transaction.scalar(last) or 0


def _up_to(
    here: ColumnElement[bool], place: InstrumentedAttribute[int], most: int | None
) -> ColumnElement[bool]:
    return here if most is None else and_(here, place <= most)
