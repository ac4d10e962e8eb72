"""Anchoring: what is said about the ledger outside, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from llmasos.errors import ConfigError, LedgerError, LLMasOSError
from llmasos.ledger._digest import FIRST_HEAD, next_history
from llmasos.ledger._tables import AnchorRow, OutboxRow, RecordRow
from llmasos.ledger.anchors.check import said
from llmasos.ledger.anchors.port import Anchor, AnchorMismatch, Statement
from llmasos.ledger.chains.port import Chain, ChainError
from llmasos.store import Store

CHUNK = 10_000
IDLE_SECONDS, LONGEST_SECONDS = 60.0, 3600.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 10.0, 3600.0


async def statement(
    store: Store, chain: Chain, contract: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Statement:
    """Return a statement over all records that the chain confirms without a gap.

    Raises:
        LedgerError: There is none, or a record is missing from the database.
        ChainError: The chain cannot be reached, or does not have the block that should hold them.
    """
    records, number, block_hash = await store.run(lambda work: _confirmed(work, chain.chain_id, contract))
    if not records:
        raise LedgerError("No record is confirmed by the chain yet.", hint="See `llmasos ledger status`.")
    block = await chain.block(number)
    if block is None or block.hash != block_hash:
        raise ChainError(
            f"The chain does not have block {number} as it was.",
            hint="Wait until the records are sent again.",
        )
    return Statement(
        chain_id=chain.chain_id,
        contract=contract,
        block=number,
        block_hash=block_hash,
        records=records,
        history=(await _history(store, records)).hex(),
        at=now().isoformat(timespec="microseconds"),
    )


async def put(store: Store, anchor: Anchor, fresh: Statement | None) -> Statement | None:
    """Put a statement at one place and store its receipt; return what was put, None if nothing was new.

    The row is written before, and its receipt after. A row that a crash left without one is put again first,
    which finds the statement where it already lies; so nothing lies outside that the database does not know.

    Args:
        fresh: The statement, unless only what is owed from before is wanted.

    Raises:
        AnchorError: The place cannot be reached or written.
        AnchorMismatch: What lies there, or the row, was altered.
    """

    def owed(work: Session) -> tuple[int, Statement] | None:
        row = _newest(work, anchor.target)
        return None if row is None or row.receipt else (row.id, said(row))

    def begin(work: Session) -> tuple[int, Statement] | None:
        row = _newest(work, anchor.target)
        if fresh is None or (row is not None and row.records >= fresh.records):
            return None
        row = AnchorRow(target=anchor.target, digest=fresh.digest.hex(), receipt=b"", **fresh.model_dump())
        work.add(row)
        work.flush()
        return row.id, fresh

    newest = None
    for step in (owed, begin):
        found = await store.run(step, durable=True)
        if found is not None:
            ident, newest = found
            receipt = await anchor.put(newest)
            change = update(AnchorRow).where(AnchorRow.id == ident).values(receipt=receipt)
            await store.run(lambda work, change=change: work.execute(change), durable=True)  # type: ignore[misc]
    return newest


@dataclass(frozen=True)
class AnchorState:
    """How anchoring at one place is doing.

    Args:
        records: How many records its newest statement covers; 0 when there is none.
        at: When that was made, ISO 8601 in UTC; empty when there is none.
        error: What went wrong last; empty when it went well.
        hint: The next step after that error.
    """

    target: str
    records: int
    at: str
    error: str
    hint: str


@dataclass
class _Place:
    anchor: Anchor
    failures: int = 0
    retry_at: float = 0.0
    error: str = ""
    hint: str = ""


class Schedule:
    """Anchors what is new at every place each so many hours, and at any time on demand.

    Args:
        contract: Gives the audit log's address, or None while there is none.
        hours: The time between two statements at one place; a restart does not begin it anew.
        now: The clock.
    """

    def __init__(
        self,
        store: Store,
        chain: Chain,
        contract: Callable[[], str | None],
        anchors: Sequence[Anchor],
        hours: float,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._chain, self._contract = store, chain, contract
        self._places = {anchor.target: _Place(anchor) for anchor in anchors}
        self._every, self._now = timedelta(hours=hours), now
        self._lock = anyio.Lock()

    async def run(self) -> None:
        """Anchor for ever; what goes wrong is told by `states` and tried again after a growing while."""
        while self._places:
            async with self._lock:
                try:
                    delay = await self._turn()
                # A database that cannot be read, or a row that was altered, must not end the kernel.
                except Exception as error:
                    delay = IDLE_SECONDS
                    for place in self._places.values():
                        self._failed(place, error)
            await anyio.sleep(delay)

    async def anchor(self, target: str = "") -> list[AnchorState]:
        """Anchor now, at every place or at one, and return how that went.

        Raises:
            ConfigError: There is no such place, or none at all.
        """
        if not self._places or target not in {"", *self._places}:
            known = ", ".join(self._places) or "none"
            raise ConfigError(
                f"There is no anchor {target!r}." if target else "No anchors are configured.",
                hint=f"Set ledger.anchors; there are: {known}.",
            )
        chosen = [place for name, place in self._places.items() if target in ("", name)]
        async with self._lock:
            await self._put(chosen)
        return [state for state in await self.states() if target in ("", state.target)]

    async def states(self) -> list[AnchorState]:
        """Return how each place is doing."""
        rows = await self._store.run(self._rows)
        found = ((place, rows.get(target)) for target, place in self._places.items())
        return [
            AnchorState(
                place.anchor.target, row.records if row else 0, row.at if row else "", place.error, place.hint
            )
            for place, row in found
        ]

    async def close(self) -> None:
        """Let go of every place."""
        for place in self._places.values():
            await place.anchor.close()

    async def _turn(self) -> float:
        """Anchor where it is due, and return the seconds until the next turn."""
        rows, newest = await self._store.run(lambda work: (self._rows(work), _last(work)))
        due, waits, moment = [], [LONGEST_SECONDS], self._now()
        for target, place in self._places.items():
            row = rows.get(target)
            made = datetime.fromisoformat(row.at) if row else datetime.min.replace(tzinfo=UTC)
            left = (made + self._every - moment).total_seconds() if made <= moment else 0.0
            wait = place.retry_at - anyio.current_time()
            left = wait if place.failures else max(left, wait)
            if left > 0:
                waits.append(left)
            elif place.failures or newest > (row.records if row else 0):
                due.append(place)
            else:
                waits.append(IDLE_SECONDS)
        if due:
            await self._put(due)
            return 0.0
        return min(waits)

    async def _put(self, places: list[_Place]) -> None:
        """Put one statement at several places; what cannot be stated is no reason to owe an older one."""
        fresh, trouble = None, None
        try:
            contract = self._contract()
            if contract is None:
                raise LedgerError("Nothing has reached the chain yet.", hint="See `llmasos ledger status`.")
            fresh = await statement(self._store, self._chain, contract, self._now)
        except Exception as error:
            trouble = error
        for place in places:
            try:
                done = await put(self._store, place.anchor, fresh)
                if trouble is not None:
                    raise trouble
            # A place that fails must not end the kernel, nor keep the others waiting.
            except Exception as error:
                self._failed(place, error)
            else:
                place.failures, place.error, place.hint = 0, "", ""
                # What is new may be on its way to the chain still.
                place.retry_at = 0.0 if done else anyio.current_time() + IDLE_SECONDS

    def _failed(self, place: _Place, error: Exception) -> None:
        place.error = error.message if isinstance(error, LLMasOSError) else repr(error)
        place.hint = error.hint if isinstance(error, LLMasOSError) else ""
        delay = min(FIRST_RETRY_SECONDS * 2.0**place.failures, LAST_RETRY_SECONDS)
        place.failures += 1
        place.retry_at = anyio.current_time() + delay

    def _rows(self, work: Session) -> dict[str, AnchorRow]:
        """Return each place's newest row with a receipt."""
        query = select(func.max(AnchorRow.id)).where(AnchorRow.receipt != b"").group_by(AnchorRow.target)
        return {row.target: row for row in work.scalars(select(AnchorRow).where(AnchorRow.id.in_(query)))}


def _newest(work: Session, target: str) -> AnchorRow | None:
    query = select(AnchorRow).where(AnchorRow.target == target).order_by(AnchorRow.id.desc())
    return work.scalars(query.limit(1)).first()


def _last(work: Session) -> int:
    return work.scalar(select(func.max(RecordRow.number))) or 0


def _confirmed(work: Session, chain_id: int, contract: str) -> tuple[int, int, str]:
    """Return the end of the records confirmed without a gap, and the last block that holds any of them."""
    ours = and_(
        OutboxRow.chain_id == chain_id, OutboxRow.contract == contract, OutboxRow.state == "confirmed"
    )
    first = aliased(RecordRow)
    done = (
        select(first.session, func.max(first.seq + OutboxRow.count - 1).label("seq"))
        .join(OutboxRow, OutboxRow.number == first.number)
        .where(ours, OutboxRow.call.in_(("append", "many")))
        .group_by(first.session)
        .subquery()
    )
    waiting = (
        select(func.min(RecordRow.number))
        .outerjoin(done, done.c.session == RecordRow.session)
        .where(RecordRow.route == "session", or_(done.c.seq.is_(None), RecordRow.seq > done.c.seq))
    )
    leaves = work.scalar(select(func.sum(OutboxRow.count)).where(ours, OutboxRow.call == "anchor")) or 0
    trees = select(RecordRow.number).where(RecordRow.route == "tree").order_by(RecordRow.number)
    ends = [work.scalar(waiting), work.scalar(trees.offset(leaves).limit(1))]
    newest = work.scalar(select(func.max(RecordRow.number))) or 0
    records = min((end - 1 for end in ends if end is not None), default=newest)
    held = select(OutboxRow.block, OutboxRow.block_hash).where(
        ours, OutboxRow.number <= records, OutboxRow.number > 0
    )
    block = work.execute(held.order_by(OutboxRow.block.desc()).limit(1)).first()
    return (records, block[0], block[1]) if block and records > 0 else (0, 0, "")


async def _history(store: Store, records: int) -> bytes:
    """Return the hash over the first records, continued from the newest statement that covers no more.

    A statement that was altered is not continued from; a verification computes everything anew.
    """

    def newest(work: Session) -> tuple[int, bytes]:
        query = select(AnchorRow).where(AnchorRow.records <= records).order_by(AnchorRow.records.desc())
        row = work.scalars(query.limit(1)).first()
        try:
            return (row.records, bytes.fromhex(said(row).history)) if row else (0, FIRST_HEAD)
        except AnchorMismatch:
            return 0, FIRST_HEAD

    done, history = await store.run(newest)
    while done < records:
        last = min(done + CHUNK, records)
        query = select(RecordRow.digest).where(RecordRow.number > done, RecordRow.number <= last)
        query = query.order_by(RecordRow.number)
        digests = await store.run(lambda work, query=query: work.scalars(query).all())  # type: ignore[misc]
        if len(digests) != last - done:
            raise LedgerError(
                f"A record between {done + 1} and {last} is missing from the database.",
                hint="Run `llmasos ledger verify`.",
            )
        for digest in digests:
            history = next_history(history, bytes.fromhex(digest))
        done = last
    return history
