"""Erasing what was recorded: bodies go for good, and the proofs of their records stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio.to_thread
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from llmasos.errors import LedgerError
from llmasos.ledger._digest import canonical
from llmasos.ledger._records import append
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import KEPT, SYSTEM, Entry, Filter, Route
from llmasos.store import Store

CHUNK = 5_000


@dataclass(frozen=True)
class Erasure:
    """What an erasure did.

    Args:
        records: How many bodies were erased.
        noted: The numbers of the `erase` records that say so.
        wiped: Whether their bytes are gone from the database's files, too. They are not while another program
            reads the database, or where it is not SQLite and cleans up in its own time; `wipe` tries again.
    """

    records: int
    noted: tuple[int, ...]
    wiped: bool


async def erase(
    store: Store, which: Filter | Sequence[int], *, reason: str, by: str, route: Route = "session"
) -> Erasure:
    """Erase the bodies of records, each with its salt, and record which, why and who did it.

    The bodies and the `erase` record that covers them change in one transaction; what is a great deal is done
    in several, each complete in itself. A record's session, tool, action and time stay, as its digest needs
    them. Only the ledger's records are concerned: events and turns of sessions, workspaces, and copies of the
    database elsewhere hold what they hold.

    Args:
        which: The records; those without a body, and of the kinds in `KEPT`, are passed over.
        reason: Why; it is recorded and cannot be erased.
        by: Who asked for it.
        route: The way of the system's session, if it begins with this.

    Raises:
        LedgerError: The reason or the name is missing, or a number is not one of a record.
        ConfigError: The database cannot be written.
    """
    if not reason.strip() or not by.strip():
        raise LedgerError("An erasure needs a reason and a name.", hint="Say why, and who wants it.")
    numbers = None if isinstance(which, Filter) else sorted(set(which))
    if numbers and (numbers[0] < 1 or numbers[-1] > await store.run(_last)):
        raise LedgerError("There is no record with such a number.", hint="See `llmasos ledger log`.")
    erased, noted, after = 0, [], 0
    conditions = _matching(which) if isinstance(which, Filter) else []
    places = [None] if numbers is None else [numbers[n : n + CHUNK] for n in range(0, len(numbers), CHUNK)]
    for place in places:
        wanted = conditions if place is None else [RecordRow.number.in_(place)]
        while True:
            step = _Step([*wanted, RecordRow.number > after], reason, by, route)
            found = await store.run(step, durable=True)
            if not found:
                break
            erased, after = erased + len(found), found[-1]
            noted.append(step.noted)
    return Erasure(erased, tuple(noted), await wipe(store) if erased else True)


async def expire(store: Store, days: int, *, route: Route = "session") -> Erasure:
    """Erase the bodies of the records that are older than so many days; 0 keeps them all."""
    if days <= 0:
        return Erasure(0, (), True)
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
    reason = f"older than {days} days"
    return await erase(store, Filter(until=before), reason=reason, by="retention", route=route)


async def wipe(store: Store) -> bool:
    """Remove what was erased from SQLite's files, and return whether that could be done.

    SQLite overwrites what it frees with zeros (`secure_delete`, which the store turns on for every
    connection); older copies lie in the write-ahead log until it is written back and cut to nothing.
    """
    if not store.sqlite:
        return False

    def cut() -> bool:
        # Not through a session: a checkpoint cannot be part of a transaction.
        connection = store.durable_engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            answer = cursor.fetchone()
            cursor.close()
            return answer is not None and not answer[0]
        finally:
            connection.close()

    return await anyio.to_thread.run_sync(cut)


class _Step:
    """One transaction of an erasure."""

    def __init__(self, wanted: list[ColumnElement[bool]], reason: str, by: str, route: Route) -> None:
        self._wanted, self._reason, self._by, self._route = wanted, reason, by, route
        self.noted = 0

    def __call__(self, work: Session) -> list[int]:
        """Erase at most `CHUNK` bodies, and return the numbers of their records."""
        query = select(RecordRow.number).where(
            RecordRow.body.is_not(None), RecordRow.kind.not_in(KEPT), *self._wanted
        )
        numbers = list(work.scalars(query.order_by(RecordRow.number).limit(CHUNK)))
        if numbers:
            change = update(RecordRow).values(body=None, body_salt=None)
            work.execute(change.where(RecordRow.number.in_(numbers)))
            ranges = [list(pair) for pair in _runs(numbers)]
            body = {"by": self._by, "ranges": ranges, "reason": self._reason}
            entry = Entry(session=SYSTEM, kind="erase", body=body)
            self.noted = append(work, entry, canonical(body).decode(), route=self._route).number
        return numbers


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as ranges, both ends included."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        first = runs.pop()[0] if runs and runs[-1][1] == number - 1 else number
        runs.append((first, number))
    return runs


def _matching(which: Filter) -> list[ColumnElement[bool]]:
    conditions = [RecordRow.number > which.after]
    if which.session:
        conditions.append(RecordRow.session == which.session)
    if which.action:
        conditions.append(RecordRow.action == which.action)
    if which.kinds:
        conditions.append(RecordRow.kind.in_(which.kinds))
    if which.tool:
        conditions.append(RecordRow.tool == which.tool)
    if which.since:
        conditions.append(RecordRow.at >= which.since)
    if which.until:
        conditions.append(RecordRow.at < which.until)
    return conditions


def _last(work: Session) -> int:
    return work.scalar(select(RecordRow.number).order_by(RecordRow.number.desc()).limit(1)) or 0
