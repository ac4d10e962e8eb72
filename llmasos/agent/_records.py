"""Reading and writing the rows of sessions and turns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import SessionRow, TurnRow
from llmasos.agent.lineage import Place, find_place, lineage, turns_of
from llmasos.api import SessionInfo
from llmasos.errors import SessionError
from llmasos.events import Usage
from llmasos.store import Store

WorkspaceKind = Literal["commit", "discard", "undo", "redo", "policy"]
_LONGEST_TITLE = 80


async def insert_session(store: Store, info: SessionInfo, place: Place | None = None) -> None:
    """Store a new session, which may go on from a place in another one."""

    def insert(transaction: Transaction) -> None:
        transaction.add(
            SessionRow(
                id=info.id,
                folder=info.folder,
                title=info.title,
                model=info.model,
                created=info.created,
                updated=info.updated,
                in_place=info.in_place,
                hosts=list(info.hosts),
                granted=list(info.granted),
                access=info.access,
                asking=info.asking,
                parent=place.session if place else "",
                parent_turn=place.number if place else 0,
                parent_seq=place.seq if place else 0,
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
        return _info(row) if row is not None else None

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
        return [_info(row) for row in transaction.scalars(query)]

    return await store.run(load)


async def interrupted_sessions(store: Store) -> list[str]:
    """Return the sessions that have a turn without an end."""

    def load(transaction: Transaction) -> list[str]:
        return list(transaction.scalars(select(TurnRow.session).where(TurnRow.status == "").distinct()))

    return await store.run(load)


async def update_session(store: Store, info: SessionInfo) -> None:
    """Store what can be changed of a session: its model, and what its code may reach and see."""

    def change(transaction: Transaction) -> None:
        row = transaction.get_one(SessionRow, info.id)
        row.model, row.hosts, row.granted = info.model, list(info.hosts), list(info.granted)
        row.access, row.asking = info.access, info.asking
        row.updated = datetime.now(UTC)

    await store.run(change)


async def rename_session(store: Store, session: str, title: str) -> None:
    """Give a session a name, which leaves its place in lists as it is."""
    statement = update(SessionRow).where(SessionRow.id == session).values(title=one_line(title))
    await store.run(lambda transaction: transaction.execute(statement))


def one_line(title: str) -> str:
    """Return a title as lists show it."""
    return " ".join(title.split())[:_LONGEST_TITLE]


async def place_in(store: Store, session: str, turn: str) -> Place:
    """Return where another session can go on from a turn; what `find_place` takes and raises."""
    return await store.run(lambda transaction: find_place(transaction, session, turn))


async def insert_turn(store: Store, session: str, turn: str, *, title: str) -> None:
    """Store a turn that begins, on the disk before this returns; the first one names its session."""

    def insert(transaction: Transaction) -> None:
        row = transaction.get_one(SessionRow, session)
        row.turns += 1
        transaction.add(TurnRow(id=turn, session=session, number=row.parent_turn + row.turns))
        row.title = row.title or one_line(title)
        row.updated = datetime.now(UTC)

    await store.run(insert, durable=True)


async def finish_turn(
    store: Store, session: str, turn: str, status: str, messages: str, usage: Usage
) -> None:
    """Store the end of a turn."""

    def finish(transaction: Transaction) -> None:
        row = transaction.get_one(TurnRow, turn)
        whole = transaction.get_one(SessionRow, session)
        whole.usage = (_usage(whole.usage) + usage).model_dump_json()
        row.status, row.messages, row.usage = status, messages, usage.model_dump_json()
        whole.updated = datetime.now(UTC)

    await store.run(finish)


async def unfinished_turns(store: Store, session: str) -> list[str]:
    """Return the turns of a session that have no end."""

    def load(transaction: Transaction) -> list[str]:
        query = select(TurnRow.id).where(TurnRow.session == session, TurnRow.status == "")
        return list(transaction.scalars(query.order_by(TurnRow.number)))

    return await store.run(load)


async def recent_messages(store: Store, session: str, turns: int) -> Sequence[str]:
    """Return the messages of a conversation's newest turns, oldest first, as JSON."""

    def load(transaction: Transaction) -> list[str]:
        query = (
            select(TurnRow.messages)
            .where(turns_of(lineage(transaction, session)), TurnRow.messages != "")
            .order_by(TurnRow.number.desc())
            .limit(turns)
        )
        return list(transaction.scalars(query))

    return list(reversed(await store.run(load)))


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text in hex, its undecodable bytes included."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _usage(stored: str) -> Usage:
    return Usage.model_validate_json(stored) if stored else Usage()


def _info(row: SessionRow) -> SessionInfo:
    return SessionInfo.model_validate(
        {
            "id": row.id,
            "folder": row.folder,
            "title": row.title,
            "model": row.model,
            "created": row.created.replace(tzinfo=UTC),
            "updated": row.updated.replace(tzinfo=UTC),
            "turns": row.parent_turn + row.turns,
            "usage": _usage(row.usage),
            "in_place": row.in_place,
            "hosts": tuple(row.hosts),
            "granted": tuple(row.granted),
            "access": row.access,
            "asking": row.asking,
            "parent": row.parent,
            "parent_turn": row.parent_turn,
        }
    )
