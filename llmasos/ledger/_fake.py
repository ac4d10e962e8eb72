"""A ledger and a chain in memory, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmasos.ledger._digest import FIRST_HEAD, canonical, record_digest
from llmasos.ledger._records import as_record, seal
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import Entry, LedgerStatus, Record, Verdict


class MemoryLedger:
    """A `Ledger` without a database or a chain; every record is confirmed at once.

    Args:
        refuse: Makes `record` fail, as a full disk would; it may be set later.
    """

    def __init__(self, *, refuse: Exception | None = None) -> None:
        self.refuse = refuse
        self.entries: list[Entry] = []
        self._rows: list[RecordRow] = []

    async def record(self, entry: Entry) -> Record:
        """Keep an entry.

        Raises:
            LedgerError: The body cannot be recorded.
        """
        if self.refuse is not None:
            raise self.refuse
        before = [row for row in self._rows if row.session == entry.session]
        head = bytes.fromhex(before[-1].head) if before else FIRST_HEAD
        body = canonical(entry.body).decode()
        row = seal(entry, body, number=len(self._rows) + 1, seq=len(before) + 1, head=head)
        self._rows.append(row)
        self.entries.append(entry)
        return self._shown(row)

    async def records(
        self, session: str | None = None, action: str | None = None, limit: int = 1000
    ) -> list[Record]:
        """Return the newest records, oldest first."""
        found = [
            row
            for row in self._rows
            if (session is None or row.session == session) and (action is None or row.action == action)
        ]
        return [self._shown(row) for row in found[len(found) - min(limit, len(found)) :]]

    async def bodies(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what was recorded of each action, by action and `intent` or `outcome`."""
        ends = {"intent": "intent", "outcome": "outcome", "cancel": "outcome"}
        return {(entry.action, ends[entry.kind]): entry.body for entry in self.entries if entry.kind in ends}

    async def status(self) -> LedgerStatus:
        """Return how many records there are."""
        count = len(self._rows)
        return LedgerStatus("memory", 0, None, count, count, 0, None, 0, "")

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> Verdict:
        """Recompute every digest."""
        problems = []
        for done, row in enumerate(self._rows, 1):
            fields = {
                name: getattr(row, name)
                for name in ("number", "session", "seq", "kind", "action", "tool", "at")
            }
            if record_digest(**fields, body=row.body, salt=row.salt).hex() != row.digest:
                problems.append(f"Record {row.seq} of session {row.session!r} ({row.kind}) was altered.")
            if progress is not None:
                progress(done, len(self._rows))
        count, sessions = len(self._rows), len({row.session for row in self._rows})
        message = problems[0] if problems else f"All {count} records in {sessions} sessions are as recorded."
        return Verdict(not problems, count, count, 0, sessions, tuple(problems), message)

    async def flush(self, timeout: float) -> bool:
        """Return at once: nothing is ever on its way."""
        return True

    def _shown(self, row: RecordRow) -> Record:
        record = as_record(row, None)
        return Record(**{**record.__dict__, "state": "confirmed"})
