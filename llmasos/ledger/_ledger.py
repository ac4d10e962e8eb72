"""The ledger: records are durable at once, and on the chain soon after."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, cast

import anyio
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llmasos.errors import LedgerError, LLMasOSError
from llmasos.ledger._anchoring import Schedule
from llmasos.ledger._carriers import carriers
from llmasos.ledger._outbox import Outbox, Trouble
from llmasos.ledger._port import EVERYTHING
from llmasos.ledger._reading import recorded, selected
from llmasos.ledger._recorder import Recorder
from llmasos.ledger._records import as_record, route_of
from llmasos.ledger._status import anchored_range, pause, status
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import (
    SYSTEM,
    AnchoredRange,
    Entry,
    Filter,
    LedgerStatus,
    Mode,
    Progress,
    Record,
    Verdict,
)
from llmasos.ledger.anchors.port import Anchor
from llmasos.ledger.chains.port import Chain, ChainRefused
from llmasos.secrets import Redactor
from llmasos.store import Store

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 5.0
POLL_SECONDS, HEARTBEAT_SECONDS = 0.2, 5.0
GATHER_SECONDS = 0.02
"""How long a record waits for others, as all that are sent together cost little more than one."""
VERIFY_WAIT_SECONDS = 30.0
DAY_SECONDS = 86_400.0
ROTATE_WAIT_SECONDS = 120.0

_log = logging.getLogger(__name__)


class ChainLedger:
    """The ledger of one store on one chain; a context manager that submits in the background.

    Recording never waits for the chain: while it is away, records wait in the database.

    Args:
        mode: How many records a transaction carries.
        batch: Records in one transaction at most; 0 chooses.
        wait: Seconds that a batch or tree waits for more records.
        backlog: Records that may wait for the chain before intents are refused.
        spend_per_day: The most to spend in 24 hours, in the chain's coin; 0 means no limit.
        anchors: Places outside that vouch for the ledger.
        anchor_hours: Hours between two anchors.
        retention_days: Days after which bodies are erased; 0 keeps them.
        redactor: Takes the secrets out of what is recorded.
    """

    def __init__(
        self,
        store: Store,
        chain: Chain,
        *,
        mode: Mode = "each",
        batch: int = 0,
        wait: float = 5.0,
        backlog: int = 100_000,
        spend_per_day: float = 0.0,
        anchors: Sequence[Anchor] = (),
        anchor_hours: float = 24.0,
        retention_days: int = 0,
        redactor: Redactor | None = None,
    ) -> None:
        self.redactor = redactor or Redactor()
        self._store, self._chain, self._mode, self._backlog = store, chain, mode, backlog
        self._anchors, self._retention_days = tuple(anchors), retention_days
        self._recorder = Recorder(store, route_of(mode))
        self._outbox = Outbox(
            store,
            chain,
            mode=mode,
            batch=batch,
            wait=wait,
            spend_per_day=spend_per_day,
            announce=self._announce,
        )
        self._wake, self._progress, self._grown = anyio.Event(), anyio.Event(), anyio.Event()
        self._hurry = anyio.Event()
        self._begun = 0
        self._trouble: Trouble | None = None
        self._schedule = Schedule(store, chain, lambda: self._outbox.contract or None, anchors, anchor_hours)

    async def __aenter__(self) -> ChainLedger:
        await self._recorder.open()
        await self._outbox.open()
        self._begun = self._recorder.last
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._submit)
        self._tasks.start_soon(self._schedule.run)
        self._tasks.start_soon(self._expire)
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
            self._recorder.close()
            with anyio.CancelScope(shield=True):
                await self._schedule.close()
                await self._chain.close()

    async def record(self, entry: Entry) -> Record:
        """Record an entry; it is on the disk when this returns.

        Raises:
            LedgerError: It cannot be written, or, of an intent, too many records wait for the chain; so the
                action must not run.
        """
        if entry.kind == "intent":
            self._check_backlog()
        row = await self._recorder.write(entry)
        self._wake.set()
        self._grown.set()
        self._grown = anyio.Event()
        return as_record(row, None)

    async def records(
        self, which: Filter = EVERYTHING, limit: int = 1000, *, bodies: bool = False
    ) -> list[Record]:
        """Return the newest records, oldest first; the first ones after `which.after` where that is given."""
        query = selected(which).limit(limit)
        query = query.order_by(RecordRow.number if which.after else RecordRow.number.desc())
        chain_id, contract = self._chain.chain_id, self._outbox.noted

        def find(work: Session) -> list[Record]:
            rows = sorted(work.scalars(query), key=lambda row: row.number)
            sent = carriers(work, chain_id, contract, rows)
            return [as_record(row, sent.get(row.number), with_body=bodies) for row in rows]

        return await self._store.read(find)

    async def wait(self, after: int) -> None:
        """Return when there is a record with a higher number."""
        while self._recorder.last <= after:
            await self._grown.wait()

    async def recorded(self, actions: Sequence[str]) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Return what was recorded of actions, by action and `intent` or `outcome`; None for what was erased.

        A cancelled action's end counts as its outcome.
        """
        return await self._store.read(lambda work: recorded(work, actions))

    async def status(self) -> LedgerStatus:
        """Return how the ledger is doing."""
        return await status(self._store, self._chain, self._outbox, self._schedule, self._mode, self._trouble)

    async def flush(self, timeout: float) -> bool:
        """Wait until all records made so far are confirmed, and return whether they are.

        Args:
            timeout: The longest wait in seconds.
        """
        return await self._settle(await self._last_number(), timeout) and not self._outbox.refused(
            await self._last_number()
        )

    async def verify(self, progress: Callable[[Progress], None] | None = None) -> Verdict:
        """Check everything, after waiting a while for records on their way.

        Records made while it runs are left to the next check.
        """
        last = await self._last_number()
        settled = await self._settle(last, VERIFY_WAIT_SECONDS)
        verdict = await _part("_verify").verify(
            self._store,
            self._chain,
            contract=self._outbox.contract or None,
            last=last,
            settled=settled,
            anchors=self._anchors,
            trouble=self._trouble.message if self._trouble else "",
            refused=self._trouble is not None and self._trouble.refused,
            progress=progress or (lambda step: None),
            settle=lambda: self._look_again(last),
        )
        return cast(Verdict, verdict)

    async def prove(self, numbers: Sequence[int], *, up_to: int | None = None) -> dict[str, Any]:
        """Return a document that proves records to somebody who knows one block's hash.

        Args:
            up_to: A later block whose hash it should be checked against.

        Raises:
            LedgerError: A record is unknown, or not on the chain yet.
        """
        proof = await _part("_proofs").prove(
            self._store, self._chain, self._outbox.contract, numbers, up_to=up_to
        )
        return cast(dict[str, Any], proof)

    async def export(self, which: Filter = EVERYTHING, *, html: bool) -> AsyncIterator[str]:
        """Return records with their proofs piece by piece: one page, or JSON lines."""
        part = _part("_export")
        export = part.export_html if html else part.export_lines
        numbers = await self._store.read(lambda work: work.scalars(selected(which, RecordRow.number)).all())
        async for piece in export(self._store, self._chain, self._outbox.contract, numbers):
            yield piece

    async def anchor(self, target: str = "") -> list[AnchoredRange]:
        """Put a statement about all confirmed records outside, at one target or at all.

        Raises:
            LedgerError: There is no such target, or it cannot be reached.
        """
        states = await self._schedule.anchor(target)
        failed = [state for state in states if state.error]
        if failed:
            raise LedgerError(
                " ".join(f"{state.target}: {state.error}" for state in failed), hint=failed[0].hint
            )
        return [anchored_range(state) for state in states]

    async def erase(self, which: Filter, reason: str, by: str) -> int:
        """Erase the bodies of records, which stay provable, and return how many there were."""
        done = await _part("_retention").erase(
            self._store, which, reason=reason, by=by, route=route_of(self._mode)
        )
        self._wake.set()
        return cast(int, done.records)

    async def rotate(self, key: str = "") -> str:
        """Hand everything to another key, a new one where the chain is ours, and return its address.

        It goes on in the background, and after a restart, when it is interrupted.

        Raises:
            LedgerError: The text is not a key, or the chain did not take everything in time.
        """
        new = await self._chain.prepare(key)
        with anyio.move_on_after(ROTATE_WAIT_SECONDS):
            while self._chain.account != new or not self._outbox.ready:
                self._wake.set()
                self._hurry.set()
                await self._progress.wait()
            return new
        reason = f" {self._trouble.message}" if self._trouble else ""
        raise LedgerError(
            f"The sessions are not all handed to {new} yet.{reason}",
            hint="It goes on in the background: see `llmasos ledger status`.",
        )

    async def _submit(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                self._wake, self._hurry = anyio.Event(), anyio.Event()
                busy = await self._outbox.step()
                self._trouble, delay = None, FIRST_RETRY_SECONDS
                self._advance()
                if not busy:
                    await self._idle()
            # Whatever goes wrong here must reach the person through `status`, and must not end the kernel:
            # records go on being written, and everything is tried again.
            except Exception as error:
                self._trouble = Trouble(repr(error))
                if isinstance(error, LLMasOSError):
                    self._trouble = Trouble(error.message, error.hint, isinstance(error, ChainRefused))
                self._advance()
                await anyio.sleep(delay)
                delay = min(2 * delay, LAST_RETRY_SECONDS)

    async def _expire(self) -> None:
        """Erase what is older than it may be, now and once a day."""
        while self._retention_days:
            try:
                await _part("_retention").expire(
                    self._store, self._retention_days, route=route_of(self._mode)
                )
                self._wake.set()
            # What cannot be erased today must not end the kernel, and is tried again.
            except LLMasOSError as error:
                _log.warning("old bodies cannot be erased: %s", error)
            await anyio.sleep(DAY_SECONDS)

    async def _idle(self) -> None:
        """Wait for a record, for a block, or until what waits for more has waited long enough."""
        seconds = POLL_SECONDS if self._outbox.waiting else HEARTBEAT_SECONDS
        due = self._outbox.drafter.due(time.monotonic())
        with anyio.move_on_after(seconds if due is None else min(seconds, due)):
            await self._wake.wait()
            with anyio.move_on_after(GATHER_SECONDS):
                await self._hurry.wait()

    def _advance(self) -> None:
        self._progress.set()
        self._progress = anyio.Event()

    async def _settle(self, last: int, timeout: float) -> bool:
        """Wait until it is known what became of all records up to a number, and return whether it is."""
        self._outbox.hurry = max(self._outbox.hurry, last)
        self._hurry.set()
        # What was recorded here, and waits for nothing more, is on its way: looking again would only disturb.
        if self._mode != "each" or last > self._recorder.last:
            self._wake.set()
        with anyio.move_on_after(timeout):
            while not self._outbox.settled(last):
                # Only a person can help with a chain that refuses.
                if self._trouble is not None and self._trouble.refused:
                    return False
                await self._progress.wait()
            return True
        return False

    async def _look_again(self, last: int) -> bool:
        """Let the outbox ask the chain once more, and return whether all is known up to a number."""
        with anyio.move_on_after(VERIFY_WAIT_SECONDS):
            # A step that is under way may have asked before.
            for _ in range(2):
                self._wake.set()
                self._hurry.set()
                await self._progress.wait()
        return await self._settle(last, VERIFY_WAIT_SECONDS)

    async def _last_number(self) -> int:
        query = select(func.coalesce(func.max(RecordRow.number), 0))
        return await self._store.read(lambda work: work.scalar(query) or 0)

    def _check_backlog(self) -> None:
        reached = max(self._begun if not self._outbox.contract else 0, self._outbox.drafter.reached)
        if self._recorder.last - reached < self._backlog:
            return
        trouble = (
            self._trouble
            or pause(self._outbox, 0)
            or Trouble("The chain is slower than the records are made.")
        )
        raise LedgerError(
            f"{self._recorder.last - reached} records wait for the chain, so the action does not run: "
            f"{trouble.message}",
            hint=trouble.hint or "Wait until they are submitted, or raise LLMASOS_LEDGER__BACKLOG.",
        )

    async def _announce(self, old: str, new: str) -> None:
        """Record a change of keys, once; as the old key signs no more records, the new one does."""
        query = select(RecordRow.body).where(RecordRow.session == SYSTEM, RecordRow.kind == "rotate")
        bodies = await self._store.read(lambda work: work.scalars(query).all())
        body = {"from": old, "to": new}
        if not any(known is not None and json.loads(known) == body for known in bodies):
            await self.record(Entry(session=SYSTEM, kind="rotate", body=body))


def _part(name: str) -> Any:
    """Import a part of the ledger when it is asked for: those that check and prove are slow to load."""
    return import_module(f"llmasos.ledger.{name}")
