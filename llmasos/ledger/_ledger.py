"""The ledger: records are durable at once, and on the chain soon after."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Protocol

import anyio
import anyio.lowlevel
from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from llmasos.errors import ConfigError, LedgerError, LLMasOSError
from llmasos.ledger._digest import canonical
from llmasos.ledger._outbox import Outbox
from llmasos.ledger._records import append, as_record
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import AnchoredRange, Entry, Filter, LedgerStatus, Progress, Record, Verdict
from llmasos.ledger._verify import verify
from llmasos.ledger.chains.port import Chain, ChainError
from llmasos.store import Store

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 5.0
POLL_SECONDS, HEARTBEAT_SECONDS = 0.2, 5.0
VERIFY_WAIT_SECONDS = 30.0
WRITE_ATTEMPTS = 5
PROGRESS_EVERY = 100
EVERYTHING = Filter()


class Ledger(Protocol):
    """Where every action is recorded before and after it runs."""

    async def record(self, entry: Entry) -> Record:
        """Record an entry; it is on the disk when this returns.

        Raises:
            LedgerError: It cannot be written, so the action must not run.
        """

    async def status(self) -> LedgerStatus:
        """Return how the ledger is doing."""

    async def records(
        self, which: Filter = EVERYTHING, limit: int = 1000, *, bodies: bool = False
    ) -> list[Record]:
        """Return the newest records, oldest first; the first ones after `which.after` where that is given."""

    async def wait(self, after: int) -> None:
        """Return when there is a record with a higher number."""

    async def recorded(self, actions: Sequence[str]) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Return what was recorded of actions, by action and `intent` or `outcome`; None for what was erased.

        A cancelled action's end counts as its outcome.
        """

    async def verify(self, progress: Callable[[Progress], None] | None = None) -> Verdict:
        """Check everything, after waiting a while for records on their way."""

    async def flush(self, timeout: float) -> bool:
        """Wait until all records made so far are confirmed, and return whether they are."""

    async def prove(self, numbers: Sequence[int], *, up_to: int | None = None) -> dict[str, Any]:
        """Return a document that proves records to somebody who knows one block's hash.

        Args:
            up_to: A later block whose hash it should be checked against.

        Raises:
            LedgerError: A record is unknown, or not on the chain yet.
        """

    def export(self, which: Filter = EVERYTHING, *, html: bool) -> AsyncIterator[str]:
        """Return records with their proofs piece by piece: one page, or JSON lines."""

    async def anchor(self, target: str = "") -> list[AnchoredRange]:
        """Put a statement about all confirmed records outside, at one target or at all.

        Raises:
            LedgerError: There is no such target, or it cannot be reached.
        """

    async def erase(self, which: Filter, reason: str, by: str) -> int:
        """Erase the bodies of records, which stay provable, and return how many there were."""

    async def rotate(self, key: str = "") -> str:
        """Hand everything to another key, a new one where the chain is ours, and return its address."""


class ChainLedger:
    """The ledger of one store on one chain; a context manager that submits in the background.

    Recording never waits for the chain: while it is away, records wait in the outbox.
    """

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store, self._chain = store, chain
        self._outbox = Outbox(store, chain)
        self._wake, self._progress = anyio.Event(), anyio.Event()
        self._last_error = ""

    async def __aenter__(self) -> ChainLedger:
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._submit)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        try:
            # The task group would wrap the caller's error in a group; only a cancellation is its business.
            if error is not None and not isinstance(error, anyio.get_cancelled_exc_class()):
                await self._tasks.__aexit__(None, None, None)
            else:
                await self._tasks.__aexit__(kind, error, trace)
        finally:
            await self._chain.close()

    async def record(self, entry: Entry) -> Record:
        """Record an entry; it is on the disk when this returns.

        Raises:
            LedgerError: It cannot be written, so the action must not run.
        """
        body = canonical(entry.body).decode()
        for attempt in range(WRITE_ATTEMPTS):
            try:
                row = await self._store.run(lambda session: append(session, entry, body), durable=True)
                break
            except IntegrityError as error:
                # Another process took the number between our reading and our writing it.
                if attempt == WRITE_ATTEMPTS - 1:
                    raise _unwritable(error) from error
            except (ConfigError, DBAPIError) as error:
                raise _unwritable(error) from error
        self._wake.set()
        return as_record(row, None)

    async def records(
        self, session: str | None = None, action: str | None = None, limit: int = 1000
    ) -> list[Record]:
        """Return the newest records, oldest first."""
        sent = and_(OutboxRow.number == RecordRow.number, OutboxRow.call == "append", self._current())
        query = select(RecordRow, OutboxRow).outerjoin(OutboxRow, sent)
        if session is not None:
            query = query.where(RecordRow.session == session)
        if action is not None:
            query = query.where(RecordRow.action == action)
        query = query.order_by(RecordRow.number.desc()).limit(limit)
        rows = await self._store.run(lambda work: work.execute(query).all())
        return [as_record(row, transaction) for row, transaction in reversed(rows)]

    async def bodies(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what was recorded of each action, by action and `intent` or `outcome`.

        A cancelled action's end counts as its outcome.
        """
        ends = {"intent": "intent", "outcome": "outcome", "cancel": "outcome"}
        query = select(RecordRow.action, RecordRow.kind, RecordRow.body).where(RecordRow.kind.in_(ends))
        rows = await self._store.run(lambda work: work.execute(query.order_by(RecordRow.number)).all())
        return {(action, ends[kind]): json.loads(body) for action, kind, body in rows}

    async def status(self) -> LedgerStatus:
        """Return how the ledger is doing."""
        done = and_(OutboxRow.call == "append", OutboxRow.state == "confirmed", self._current())

        refused = and_(OutboxRow.state == "failed", self._current())

        def counts(session: Session) -> tuple[int, int, int]:
            records = session.scalar(select(func.count()).select_from(RecordRow)) or 0
            sent, bad = (
                session.scalar(select(func.count()).select_from(OutboxRow).where(w)) or 0
                for w in (done, refused)
            )
            return records, sent, bad

        records, confirmed, failed = await self._store.run(counts)
        head: int | None = None
        error = self._last_error
        if failed and not error:
            error = f"The contract refused {failed} transactions; `verify` says which records they carry."
        try:
            head = await self._chain.block_number()
        except ChainError as problem:
            error = error or str(problem)
        return LedgerStatus(
            backend=self._chain.name,
            chain_id=self._chain.chain_id,
            contract=self._outbox.contract,
            records=records,
            confirmed=confirmed,
            pending=records - confirmed,
            head_block=head,
            resent=self._outbox.resent,
            last_error=error,
        )

    async def flush(self, timeout: float) -> bool:
        """Wait until all records made so far are confirmed, and return whether they are.

        Args:
            timeout: The longest wait in seconds.
        """
        last = await self._last_number()
        with anyio.move_on_after(timeout):
            while self._outbox.settled < last:
                self._wake.set()
                await self._progress.wait()
        confirmed = and_(OutboxRow.call == "append", OutboxRow.state == "confirmed", self._current())
        query = select(func.count()).select_from(OutboxRow).where(confirmed, OutboxRow.number <= last)
        return (await self._store.run(lambda session: session.scalar(query) or 0)) == last

    async def verify(self, progress: Callable[[Progress], None] | None = None) -> Verdict:
        """Check everything, after waiting a while for records on their way."""
        last = await self._last_number()
        await self.flush(VERIFY_WAIT_SECONDS)
        return await verify(
            self._store,
            self._chain,
            contract=self._outbox.contract,
            last=last,
            settled=self._outbox.settled >= last,
            progress=progress or (lambda told: None),
        )

    async def _submit(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._outbox.recover()
                while True:
                    self._wake = anyio.Event()
                    full = await self._outbox.pump()
                    self._last_error, delay = "", FIRST_RETRY_SECONDS
                    self._advance()
                    if not full:
                        await self._idle()
            # Whatever goes wrong here must reach the person through `status`, and must not end the kernel:
            # records go on being written, and everything is tried again.
            except Exception as error:
                self._last_error = error.message if isinstance(error, LLMasOSError) else repr(error)
                self._advance()
                await anyio.sleep(delay)
                delay = min(2 * delay, LAST_RETRY_SECONDS)

    async def _idle(self) -> None:
        """Wait for a record or for a block, then see whether the chain still lives."""
        with anyio.move_on_after(POLL_SECONDS if self._outbox.waiting else HEARTBEAT_SECONDS):
            await self._wake.wait()
            return
        await self._chain.block_number()

    def _advance(self) -> None:
        self._progress.set()
        self._progress = anyio.Event()

    def _current(self) -> ColumnElement[bool]:
        """Select the transactions of the contract in use."""
        return OutboxRow.contract == (self._outbox.contract or "")

    def _ours(self) -> ColumnElement[bool]:
        """Select the transactions of the account, and those that only claim to be another's."""
        if self._outbox.contract is None:
            return false()
        account = and_(OutboxRow.account == self._chain.account, OutboxRow.chain_id == self._chain.chain_id)
        return or_(account, self._current())

    async def _last_number(self) -> int:
        query = select(func.coalesce(func.max(RecordRow.number), 0))
        return await self._store.run(lambda session: session.scalar(query) or 0)

    def _snapshot(self, session: Session) -> tuple[list[RecordRow], list[OutboxRow]]:
        records = session.scalars(select(RecordRow).order_by(RecordRow.number)).all()
        outbox = session.scalars(select(OutboxRow).where(self._ours()).order_by(OutboxRow.nonce)).all()
        return list(records), list(outbox)


def _unwritable(error: Exception) -> LedgerError:
    reason = error.message if isinstance(error, LLMasOSError) else str(getattr(error, "orig", error))
    return LedgerError(
        f"The record cannot be written, so the action does not run. {reason}",
        hint="Free space on the disk, or check LLMASOS_DATABASE_URL and the folder's permissions.",
    )
