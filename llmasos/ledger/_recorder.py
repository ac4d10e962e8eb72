"""The recorder: entries become rows, in one place after the other, on the disk before anybody goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable

from llmasos.errors import LedgerError, LLMasOSError
from llmasos.ledger._digest import FIRST_HEAD, canonical
from llmasos.ledger._records import seal
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import Entry, Route
from llmasos.store import Store

WRITE_ATTEMPTS = 5
MOST_ENDS = 10_000


@dataclass(slots=True, eq=False)
class _Waiting:
    entry: Entry
    body: str
    row: RecordRow | None = None
    error: LedgerError | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """A session's newest record."""

    seq: int
    head: bytes
    route: Route


class Recorder:
    """Writes the records of one store, whoever else writes to it.

    Entries that arrive while others are written share the next transaction, and so one wait for the disk.

    Args:
        route: The way of the sessions that begin.
    """

    def __init__(self, store: Store, route: Route) -> None:
        self._store, self._route = store, route
        self._lock, self._limiter = anyio.Lock(), anyio.CapacityLimiter(1)
        self._waiting: list[_Waiting] = []
        self._connection: Any = None
        dialect = store.durable_engine.dialect
        self._database_error: type[Exception] = dialect.loaded_dbapi.Error
        self._conflict: type[Exception] = dialect.loaded_dbapi.IntegrityError
        newest = select(RecordRow.seq, RecordRow.head, RecordRow.route)
        newest = newest.where(RecordRow.session == bindparam("name")).order_by(RecordRow.seq.desc()).limit(1)
        self._last = _Prepared(select(func.max(RecordRow.number)), dialect)
        self._newest = _Prepared(newest, dialect)
        self._insert = _Prepared(insert(RecordRow), dialect)
        self._ends: dict[str, _End] = {}
        self.last = 0

    async def open(self) -> None:
        """Read how many records there are."""
        query = select(func.coalesce(func.max(RecordRow.number), 0))
        self.last = await self._store.read(lambda session: session.scalar(query) or 0)

    async def write(self, entry: Entry) -> RecordRow:
        """Write an entry after the newest record of all and of its session; it is on the disk on return.

        Raises:
            LedgerError: It cannot be written.
        """
        waiting = _Waiting(entry, canonical(entry.body).decode())
        self._waiting.append(waiting)
        try:
            async with self._lock:
                if waiting.row is None and waiting.error is None:
                    batch, self._waiting = self._waiting, []
                    # What others wait for must not end with the one who happens to write it.
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(self._write, batch, limiter=self._limiter)
        finally:
            # One who was cancelled does not do what the entry announces.
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        if waiting.error is not None:
            raise waiting.error
        assert waiting.row is not None
        return waiting.row

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, batch: list[_Waiting]) -> None:
        for attempt in range(WRITE_ATTEMPTS):
            try:
                rows = self._transaction([(waiting.entry, waiting.body) for waiting in batch])
            except (self._database_error, DBAPIError, LLMasOSError, OSError) as error:
                self._abandon()
                # Another process took the number between our reading and our writing it.
                if isinstance(error, self._conflict) and attempt < WRITE_ATTEMPTS - 1:
                    continue
                for waiting in batch:
                    waiting.error = _unwritable(error)
                return
            for waiting, row in zip(batch, rows, strict=True):
                waiting.row = row
            self.last = rows[-1].number
            return

    def _transaction(self, entries: list[tuple[Entry, str]]) -> list[RecordRow]:
        # The driver's connection is kept and used directly: an engine would take as much time as the disk.
        if self._connection is None:
            self._connection = self._store.durable_engine.raw_connection()
        cursor = self._connection.cursor()
        try:
            if self._store.sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            number = self._last.run(cursor, {}).fetchone()[0] or 0
            # What we know of sessions holds as long as nobody else writes.
            if number != self.last or len(self._ends) > MOST_ENDS:
                self._ends.clear()
            rows = []
            for entry, body in entries:
                number += 1
                end = self._ends.get(entry.session) or self._end(cursor, entry.session)
                row = seal(entry, body, number=number, seq=end.seq + 1, head=end.head, route=end.route)
                self._insert.run(cursor, vars(row))
                self._ends[entry.session] = _End(row.seq, bytes.fromhex(row.head), end.route)
                rows.append(row)
            self._connection.commit()
        finally:
            cursor.close()
        return rows

    def _end(self, cursor: Any, session: str) -> _End:
        found = self._newest.run(cursor, {"name": session}).fetchone()
        return (
            _End(found[0], bytes.fromhex(found[1]), found[2]) if found else _End(0, FIRST_HEAD, self._route)
        )

    def _abandon(self) -> None:
        """Give up a transaction and its connection, which may be what is broken."""
        self._ends.clear()
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        try:
            connection.rollback()
            connection.invalidate()
        except (self._database_error, DBAPIError):
            pass


class _Prepared:
    """A statement as text for the driver, with its parameters in the order that it wants."""

    def __init__(self, statement: Executable, dialect: Any) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self._text = str(compiled)
        self._constants = compiled.params
        self._order: list[str] | None = compiled.positiontup if compiled.positional else None

    def run(self, cursor: Any, values: dict[str, Any]) -> Any:
        given = {**self._constants, **values}
        cursor.execute(self._text, given if self._order is None else [given[name] for name in self._order])
        return cursor


def _unwritable(error: Exception) -> LedgerError:
    reason = error.message if isinstance(error, LLMasOSError) else str(getattr(error, "orig", None) or error)
    return LedgerError(
        f"The record cannot be written, so the action does not run: {reason.rstrip('.')}.",
        hint="Free space on the disk, or check LLMASOS_DATABASE_URL and the folder's permissions.",
    )
