"""Entries as rows: sealed with salts and digests, and linked to the one before."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llmasos.ledger._carriers import Carrier
from llmasos.ledger._digest import (
    FIRST_HEAD,
    SALT_BYTES,
    body_digest,
    next_head,
    record_digest,
    session_key,
)
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import Entry, Kind, Mode, Record, Route, State, kind_number


def route_of(mode: Mode) -> Route:
    """Return the way of the sessions that begin while the ledger is in a mode."""
    return "tree" if mode == "merkle" else "session"


def append(session: Session, entry: Entry, body: str, *, route: Route) -> RecordRow:
    """Write an entry after the newest record of all and of its session.

    Args:
        body: The entry's body as canonical JSON.
        route: The way of a session that begins with this record; one that has begun keeps its own.
    """
    number = (session.scalar(select(func.max(RecordRow.number))) or 0) + 1
    query = select(RecordRow.seq, RecordRow.head, RecordRow.route).where(RecordRow.session == entry.session)
    newest = session.execute(query.order_by(RecordRow.seq.desc()).limit(1)).first()
    seq, head = 1, FIRST_HEAD
    if newest:
        seq, head, route = newest[0] + 1, bytes.fromhex(newest[1]), cast(Route, newest[2])
    row = seal(entry, body, number=number, seq=seq, head=head, route=route)
    session.add(row)
    session.flush()
    return row


def seal(entry: Entry, body: str, *, number: int, seq: int, head: bytes, route: Route) -> RecordRow:
    """Return an entry as a row, with new salts, its digests and its link.

    Args:
        body: The entry's body as canonical JSON.
        number: Its place among all records.
        seq: Its place in its session.
        head: The session's head before it.
        route: The way of its session.
    """
    salt, body_salt = os.urandom(SALT_BYTES), os.urandom(SALT_BYTES)
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    held = body_digest(body, body_salt).hex()
    digest = record_digest(
        number=number,
        session=entry.session,
        seq=seq,
        kind=entry.kind,
        action=entry.action,
        tool=entry.tool,
        at=at,
        body_digest=held,
        salt=salt,
    )
    link = next_head(session_key(entry.session), seq, head, digest, kind_number(entry.kind))
    return RecordRow(
        number=number,
        session=entry.session,
        seq=seq,
        kind=entry.kind,
        action=entry.action,
        tool=entry.tool,
        at=at,
        body=body,
        body_salt=body_salt,
        body_digest=held,
        salt=salt,
        digest=digest.hex(),
        head=link.hex(),
        route=route,
    )


def as_record(row: RecordRow, transaction: Carrier | OutboxRow | None, *, with_body: bool = False) -> Record:
    """Return a row as callers see it.

    Args:
        transaction: The transaction that carries it.
        with_body: Whether to give the body, too.
    """
    mined = transaction is not None and transaction.state == "confirmed"
    return Record(
        number=row.number,
        session=row.session,
        seq=row.seq,
        kind=cast(Kind, row.kind),
        action=row.action,
        tool=row.tool,
        digest=row.digest,
        at=row.at,
        tx_hash=transaction.tx_hash if transaction else None,
        state=_state(transaction),
        block=transaction.block if transaction and mined else None,
        body=json.loads(row.body) if with_body and row.body is not None else None,
        erased=row.body is None,
    )


def _state(transaction: Carrier | OutboxRow | None) -> State:
    if transaction is not None and transaction.state in ("confirmed", "failed"):
        return cast(State, transaction.state)
    return "pending"
