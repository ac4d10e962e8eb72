"""Entries as rows: sealed with a salt and a digest, and linked to the one before."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llmasos.ledger._digest import FIRST_HEAD, SALT_BYTES, next_head, record_digest, session_key
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import Entry, Kind, Record, kind_number


def append(session: Session, entry: Entry, body: str) -> RecordRow:
    """Write an entry after the newest record of all and of its session."""
    number = (session.scalar(select(func.max(RecordRow.number))) or 0) + 1
    query = select(RecordRow.seq, RecordRow.head).where(RecordRow.session == entry.session)
    newest = session.execute(query.order_by(RecordRow.seq.desc()).limit(1)).first()
    seq, head = (newest[0] + 1, bytes.fromhex(newest[1])) if newest else (1, FIRST_HEAD)
    row = seal(entry, body, number=number, seq=seq, head=head)
    session.add(row)
    session.flush()
    return row


def seal(entry: Entry, body: str, *, number: int, seq: int, head: bytes) -> RecordRow:
    """Return an entry as a row, with a new salt, its digest and its link.

    Args:
        body: The entry's body as canonical JSON.
        number: Its place among all records.
        seq: Its place in its session.
        head: The session's head before it.
    """
    salt, at = os.urandom(SALT_BYTES), datetime.now(UTC).isoformat(timespec="microseconds")
    digest = record_digest(
        number=number,
        session=entry.session,
        seq=seq,
        kind=entry.kind,
        action=entry.action,
        tool=entry.tool,
        at=at,
        body=body,
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
        salt=salt,
        digest=digest.hex(),
        head=link.hex(),
    )


def as_record(row: RecordRow, transaction: OutboxRow | None) -> Record:
    """Return a row as callers see it."""
    return Record(
        session=row.session,
        seq=row.seq,
        kind=cast(Kind, row.kind),
        action=row.action,
        tool=row.tool,
        digest=row.digest,
        at=row.at,
        tx_hash=transaction.tx_hash if transaction else None,
        state="confirmed" if transaction and transaction.state == "confirmed" else "pending",
    )
