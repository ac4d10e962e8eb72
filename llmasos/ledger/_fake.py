"""A ledger in memory, for tests and for trying things out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import anyio

from llmasos.errors import LedgerError
from llmasos.ledger._digest import FIRST_HEAD, body_digest, canonical, record_digest
from llmasos.ledger._records import as_record, seal
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import (
    SYSTEM,
    AnchoredRange,
    Entry,
    Filter,
    LedgerStatus,
    Progress,
    Record,
    Verdict,
)
from llmasos.secrets import Redactor

ENDS = {"intent": "intent", "outcome": "outcome", "cancel": "outcome"}
LASTING = ("erase", "rotate")
ALL = Filter()


class MemoryLedger:
    """A `Ledger` without a database or a chain; every record is confirmed at once, in a block of its own.

    Args:
        refuse: Makes `record` fail, as a full disk would; it may be set later.
        targets: The anchors it claims to have.
        redactor: Takes the secrets out of what is recorded.
    """

    def __init__(
        self,
        *,
        refuse: Exception | None = None,
        targets: Sequence[str] = (),
        redactor: Redactor | None = None,
    ) -> None:
        self.refuse = refuse
        self.redactor = redactor or Redactor()
        self.entries: list[Entry] = []
        self.account = "0x" + "11" * 20
        self._rows: list[RecordRow] = []
        self._newest: dict[str, RecordRow] = {}
        self._targets = tuple(targets)
        self._anchored: list[AnchoredRange] = []
        self._grown = anyio.Event()

    async def record(self, entry: Entry) -> Record:
        """Keep an entry.

        Raises:
            LedgerError: The body cannot be recorded.
        """
        if self.refuse is not None:
            raise self.refuse
        before = self._newest.get(entry.session)
        head = bytes.fromhex(before.head) if before else FIRST_HEAD
        body = canonical(entry.body).decode()
        number = len(self._rows) + 1
        seq = before.seq + 1 if before else 1
        row = self._newest[entry.session] = seal(
            entry, body, number=number, seq=seq, head=head, route="session"
        )
        self._rows.append(row)
        self.entries.append(entry)
        self._grown.set()
        self._grown = anyio.Event()
        return self._shown(row)

    async def status(self) -> LedgerStatus:
        """Return how many records there are."""
        count = len(self._rows)
        return LedgerStatus(
            backend="memory",
            chain_id=0,
            contract=None,
            records=count,
            confirmed=count,
            pending=0,
            head_block=count,
            resent=0,
            last_error="",
            account=self.account,
            anchored=tuple(sorted(self._anchored, key=lambda made: -made.last)),
        )

    async def records(self, which: Filter = ALL, limit: int = 1000, *, bodies: bool = False) -> list[Record]:
        """Return the newest records, oldest first; the first ones after `which.after` where that is given."""
        found = self._matching(which)
        found = found[:limit] if which.after else found[len(found) - min(limit, len(found)) :]
        return [self._shown(row, with_body=bodies) for row in found]

    async def wait(self, after: int) -> None:
        """Return when there is a record with a higher number."""
        while len(self._rows) <= after:
            await self._grown.wait()

    async def recorded(self, actions: Sequence[str]) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Return what was recorded of actions, by action and `intent` or `outcome`; None for the erased."""
        wanted = set(actions)
        return {
            (row.action, ENDS[row.kind]): json.loads(row.body) if row.body is not None else None
            for row in self._rows
            if row.action in wanted and row.kind in ENDS
        }

    async def verify(self, progress: Callable[[Progress], None] | None = None) -> Verdict:
        """Recompute every digest."""
        problems = []
        for done, row in enumerate(self._rows, 1):
            if not _unchanged(row):
                problems.append(f"Record {row.seq} of session {row.session!r} ({row.kind}) was altered.")
            if progress is not None:
                progress(Progress("records", done, len(self._rows)))
        count, sessions = len(self._rows), len({row.session for row in self._rows})
        anchored = (await self.status()).anchored
        last = anchored[0].last if anchored else 0
        message = problems[0] if problems else f"All {count} records in {sessions} sessions are as recorded."
        return Verdict(
            finding="bad" if problems else "ok",
            checked=count,
            confirmed=count,
            pending=0,
            erased=sum(row.body is None for row in self._rows),
            sessions=sessions,
            anchored=anchored,
            unanchored=last + 1 if last < count else None,
            problems=tuple(problems),
            message=message,
        )

    async def flush(self, timeout: float) -> bool:
        """Return at once: nothing is ever on its way."""
        return True

    async def prove(self, numbers: Sequence[int], *, up_to: int | None = None) -> dict[str, Any]:
        """Return a document with the shape of a proof, which proves nothing without a chain.

        Raises:
            LedgerError: A record is unknown.
        """
        if unknown := [number for number in numbers if not 0 < number <= len(self._rows)]:
            raise LedgerError(f"There is no record {unknown[0]}.", hint="`llmasos ledger log` lists them.")
        rows = [self._rows[number - 1] for number in numbers]
        records = [{"number": row.number, "kind": row.kind, "digest": row.digest} for row in rows]
        return {"format": "llmasos.memory/1", "proofs": [{"record": record} for record in records]}

    async def export(self, which: Filter = ALL, *, html: bool) -> AsyncIterator[str]:
        """Return records piece by piece: a page that lists them, or JSON lines."""
        if html:
            yield "<!doctype html><title>Ledger</title><ol>"
        for row in self._matching(which):
            line = {"number": row.number, "kind": row.kind, "digest": row.digest}
            yield f"<li>{row.number} {row.kind}</li>" if html else json.dumps(line) + "\n"
        if html:
            yield "</ol>\n"

    async def anchor(self, target: str = "") -> list[AnchoredRange]:
        """Remember that the targets were told.

        Raises:
            LedgerError: There is no such target.
        """
        if not self._targets or (target and target not in self._targets):
            raise LedgerError(
                f"There is no anchor {target!r}." if target else "No anchor is set up.",
                hint="Name places outside in LLMASOS_LEDGER__ANCHORS, such as file:/mnt/other/anchors.jsonl.",
            )
        count, told = len(self._rows), [target] if target else list(self._targets)
        at = self._rows[-1].at if self._rows else ""
        made = [AnchoredRange(one, count, at, block=count) for one in told]
        self._anchored = [old for old in self._anchored if old.target not in told] + made
        return made

    async def erase(self, which: Filter, reason: str, by: str) -> int:
        """Erase the bodies of records and record that it was done."""
        rows = [row for row in self._matching(which) if row.body is not None and row.kind not in LASTING]
        ranges = [[row.number, row.number] for row in rows]
        if rows:
            body = {"ranges": ranges, "reason": reason, "by": by}
            await self.record(Entry(session=SYSTEM, kind="erase", body=body))
        for row in rows:
            row.body = row.body_salt = None
        return len(rows)

    async def rotate(self, key: str = "") -> str:
        """Take an address that is made from the key."""
        self.account = "0x" + hashlib.sha256(f"{self.account}{key}".encode()).hexdigest()[:40]
        await self.record(Entry(session=SYSTEM, kind="rotate", body={"account": self.account}))
        return self.account

    def _matching(self, which: Filter) -> list[RecordRow]:
        return [
            row
            for row in self._rows
            if (not which.session or row.session == which.session)
            and (not which.action or row.action == which.action)
            and (not which.kinds or row.kind in which.kinds)
            and (not which.tool or row.tool == which.tool)
            and (not which.since or row.at >= which.since)
            and (not which.until or row.at < which.until)
            and row.number > which.after
        ]

    def _shown(self, row: RecordRow, *, with_body: bool = False) -> Record:
        record = as_record(row, None, with_body=with_body)
        return replace(record, state="confirmed", block=row.number, tx_hash=f"0x{row.digest}")


def _unchanged(row: RecordRow) -> bool:
    names = ("number", "session", "seq", "kind", "action", "tool", "at", "body_digest", "salt")
    if record_digest(**{name: getattr(row, name) for name in names}).hex() != row.digest:
        return False
    if row.body is None or row.body_salt is None:
        return row.body is None and row.body_salt is None
    return body_digest(row.body, row.body_salt).hex() == row.body_digest
