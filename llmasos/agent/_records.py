"""Reading and writing the rows of sessions and turns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import SessionRow, TurnRow
from llmasos.api import SessionInfo
from llmasos.errors import SessionError
from llmasos.events import Usage
from llmasos.store import Store

WorkspaceKind = Literal["commit", "discard", "undo", "redo", "policy"]
_LONGEST_TITLE = 80


async def insert_session(store: Store, info: SessionInfo) -> None:
    """Store a new session."""

    def insert(transaction: Transaction) -> None:
        transaction.add(
            SessionRow(
                id=info.id,
                folder=info.folder,
                title="",
                model=info.model,
                created=info.created,
                updated=info.updated,
                in_place=info.in_place,
                hosts=list(info.hosts),
                granted=list(info.granted),
                access=info.access,
                asking=info.asking,
            )
        )

    await store.run(insert)


async def load_session(store: Store, session: str) -> SessionInfo:
    """Return one session.

    Raises:
        SessionError: There is no such session.
    """

    def load(transaction: Transaction) -> SessionInfo | None:
        row = transaction.get(SessionRow, session)
        return _info(transaction, row) if row is not None else None

    info = await store.run(load)
    if info is None:
        raise SessionError(f"There is no session {session!r}.", hint="`llmasos sessions` lists them.")
    return info


async def list_sessions(store: Store, folder: str | None, limit: int) -> list[SessionInfo]:
    """Return the newest sessions, of one folder or of all."""

    def load(transaction: Transaction) -> list[SessionInfo]:
        query = select(SessionRow).order_by(SessionRow.updated.desc()).limit(limit)
        if folder is not None:
            query = query.where(SessionRow.folder == folder)
        return [_info(transaction, row) for row in transaction.scalars(query)]

    return await store.run(load)


async def interrupted_sessions(store: Store) -> list[str]:
    """Return the sessions that have a turn without an end."""

    def load(transaction: Transaction) -> list[str]:
        return list(transaction.scalars(select(TurnRow.session).where(TurnRow.status == "").distinct()))

    return await store.run(load)


async def update_session(store: Store, info: SessionInfo) -> None:
    """Store what can be changed of a session: its model, and what its code may reach and see."""

    def update(transaction: Transaction) -> None:
        row = transaction.get_one(SessionRow, info.id)
        row.model, row.hosts, row.granted = info.model, list(info.hosts), list(info.granted)
        row.access, row.asking = info.access, info.asking
        row.updated = datetime.now(UTC)

    await store.run(update)


async def insert_turn(store: Store, session: str, turn: str, *, title: str) -> None:
    """Store a turn that begins, on the disk before this returns; the first one names its session."""

    def insert(transaction: Transaction) -> None:
        row = transaction.get_one(SessionRow, session)
        number = transaction.scalar(select(func.count()).where(TurnRow.session == session)) or 0
        transaction.add(TurnRow(id=turn, session=session, number=number + 1))
        row.title = row.title or " ".join(title.split())[:_LONGEST_TITLE]
        row.updated = datetime.now(UTC)

    await store.run(insert, durable=True)


async def finish_turn(
    store: Store, session: str, turn: str, status: str, messages: str, usage: Usage
) -> None:
    """Store the end of a turn."""

    def update(transaction: Transaction) -> None:
        row = transaction.get_one(TurnRow, turn)
        row.status, row.messages, row.usage = status, messages, usage.model_dump_json()
        transaction.get_one(SessionRow, session).updated = datetime.now(UTC)

    await store.run(update)


async def unfinished_turns(store: Store, session: str) -> list[str]:
    """Return the turns of a session that have no end."""

    def load(transaction: Transaction) -> list[str]:
        query = select(TurnRow.id).where(TurnRow.session == session, TurnRow.status == "")
        return list(transaction.scalars(query.order_by(TurnRow.number)))

    return await store.run(load)


async def recent_messages(store: Store, session: str, turns: int) -> Sequence[str]:
    """Return the messages of the newest turns of a session, oldest first, as JSON."""

    def load(transaction: Transaction) -> list[str]:
        query = (
            select(TurnRow.messages)
            .where(TurnRow.session == session, TurnRow.messages != "")
            .order_by(TurnRow.number.desc())
            .limit(turns)
        )
        return list(transaction.scalars(query))

    return list(reversed(await store.run(load)))


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text in hex, its undecodable bytes included."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _info(transaction: Transaction, row: SessionRow) -> SessionInfo:
    usages = list(transaction.scalars(select(TurnRow.usage).where(TurnRow.session == row.id)))
    total = sum((Usage.model_validate_json(usage) for usage in usages if usage), Usage())
    return SessionInfo.model_validate(
        {
            "id": row.id,
            "folder": row.folder,
            "title": row.title,
            "model": row.model,
            "created": row.created.replace(tzinfo=UTC),
            "updated": row.updated.replace(tzinfo=UTC),
            "turns": len(usages),
            "usage": total,
            "in_place": row.in_place,
            "hosts": tuple(row.hosts),
            "granted": tuple(row.granted),
            "access": row.access,
            "asking": row.asking,
        }
    )
