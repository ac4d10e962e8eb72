"""The log of one turn: its stored events, and what the ledger recorded of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow, SessionRow, TurnRow
from llmasos.agent.explain.proving import proved
from llmasos.agent.wording import as_info
from llmasos.api import RecordInfo
from llmasos.events import EVENT, Event, WorkspaceChanged
from llmasos.ledger import Filter, Ledger
from llmasos.store import Store

_MOST_DECISIONS = 1000
_AT_ONCE = 1000
# Before the first record; 0 asks for the newest ones.
_BEGINNING = -1
_KINDS = ("intent", "approval", "outcome", "cancel")
_OF_ACTIONS = ("call_decided", "approval_requested", "action_started", "action_finished")


@dataclass(frozen=True)
class Place:
    """Where something stands: a session, its turn, and the action when one is meant."""

    session: str
    turn: str
    action: str = ""


@dataclass(frozen=True)
class Log:
    """What is stored of one turn.

    Args:
        place: The turn, and the action that is meant.
        events: The turn's events, in their order.
        later: What a person decided about the folder since the turn began.
        records: What the ledger holds of the turn and its actions, oldest first.
        problems: What is damaged.
        proved: Whether the proof of each action holds, where there is one.
    """

    place: Place
    events: Sequence[Event]
    later: Sequence[WorkspaceChanged] = ()
    records: Sequence[RecordInfo] = ()
    problems: Sequence[str] = ()
    proved: Mapping[str, bool] = field(default_factory=dict)


async def find(store: Store, ledger: Ledger, what: str) -> Place | None:
    """Return where an action, a turn or a session's last turn stands; None when there is no such thing.

    Args:
        store: The database.
        ledger: The ledger, which knows the session of an action.
        what: The id.
    """
    if found := await store.run(lambda transaction: _turn(transaction, what)):
        return found
    recorded = await ledger.records(Filter(action=what), 1) if what else []
    sessions = {record.session for record in recorded}
    return await store.run(lambda transaction: _action(transaction, what, sessions)) if what else None


async def newest(store: Store, sessions: Sequence[str] | None = None, limit: int = 1) -> list[Place]:
    """Return the last turns of these sessions, or of all; the newest first."""

    def load(transaction: Transaction) -> list[Place]:
        query = select(TurnRow).join(SessionRow, SessionRow.id == TurnRow.session)
        if sessions is not None:
            query = query.where(TurnRow.session.in_(sessions))
        query = query.order_by(SessionRow.updated.desc(), TurnRow.number.desc()).limit(limit)
        return [Place(row.session, row.id) for row in transaction.scalars(query)]

    return await store.run(load)


async def is_session(store: Store, what: str) -> bool:
    """Return whether this is a session."""
    return await store.run(lambda transaction: transaction.get(SessionRow, what) is not None)


async def read(store: Store, ledger: Ledger, place: Place) -> Log:
    """Return what is stored of a turn; what cannot be read any more is among the problems."""
    rows = await store.run(lambda transaction: _rows(transaction, place))
    events, problems = _parsed(rows)
    first = rows[0][0] if rows else 0
    changed, more = _parsed(await store.run(lambda transaction: _changes(transaction, place.session, first)))
    later = [event for event in changed if isinstance(event, WorkspaceChanged)]
    records = await _records(ledger, place, events)
    proofs = await proved(ledger, _by_action(records, place.action))
    return Log(place, events, later, records, (*problems, *more), proofs)


def _turn(transaction: Transaction, what: str) -> Place | None:
    row = transaction.get(TurnRow, what)
    if row is not None:
        return Place(row.session, row.id)
    query = select(TurnRow).where(TurnRow.session == what).order_by(TurnRow.number.desc()).limit(1)
    last = transaction.scalars(query).first()
    return Place(last.session, last.id) if last is not None else None


def _action(transaction: Transaction, what: str, sessions: set[str]) -> Place | None:
    said = f'"action":{json.dumps(what, ensure_ascii=False)}'
    query = select(EventRow.session, EventRow.turn, EventRow.body).where(
        EventRow.type.in_(_OF_ACTIONS), EventRow.body.contains(said, autoescape=True)
    )
    if sessions:
        query = query.where(EventRow.session.in_(sessions))
    for session, turn, body in transaction.execute(query):
        # Arguments may hold such a name, too.
        if any(getattr(event, "action", "") == what for event in _parsed([(0, body)])[0]):
            return Place(session, turn, what)
    return None


def _rows(transaction: Transaction, place: Place) -> list[tuple[int, str]]:
    query = (
        select(EventRow.seq, EventRow.body)
        .where(EventRow.session == place.session, EventRow.turn == place.turn)
        .order_by(EventRow.seq)
    )
    return [(seq, body) for seq, body in transaction.execute(query)]


def _changes(transaction: Transaction, session: str, after: int) -> list[tuple[int, str]]:
    query = (
        select(EventRow.seq, EventRow.body)
        .where(EventRow.session == session, EventRow.type == "workspace_changed", EventRow.seq > after)
        .order_by(EventRow.seq)
        .limit(_MOST_DECISIONS)
    )
    return [(seq, body) for seq, body in transaction.execute(query)]


def _parsed(rows: Sequence[tuple[int, str]]) -> tuple[list[Event], list[str]]:
    events: list[Event] = []
    problems: list[str] = []
    for seq, body in rows:
        try:
            events.append(EVENT.validate_json(body))
        except ValueError:
            problems.append(f"event {seq} cannot be read any more")
    return events, problems


def _by_action(records: Sequence[RecordInfo], one: str) -> dict[str, list[RecordInfo]]:
    """Return the records of each action, or of the one that is meant."""
    found: dict[str, list[RecordInfo]] = {}
    for record in records:
        if one in ("", record.action):
            found.setdefault(record.action, []).append(record)
    return found


async def _records(ledger: Ledger, place: Place, events: Sequence[Event]) -> list[RecordInfo]:
    """Return what is recorded of a turn's actions; bodies that were erased name no turn any more."""
    actions = {action for event in events if (action := getattr(event, "action", ""))} | {place.action}
    found: list[RecordInfo] = []
    page = Filter(session=place.session, kinds=_KINDS, after=_BEGINNING)
    while records := await ledger.records(page, _AT_ONCE, bodies=True):
        found += [
            as_info(record)
            for record in records
            if record.action and (record.action in actions or (record.body or {}).get("turn") == place.turn)
        ]
        page = replace(page, after=records[-1].number)
    return found
