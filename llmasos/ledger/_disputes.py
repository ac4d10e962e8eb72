"""Disputes: lines of which the chain has something else than the outbox expects, and what follows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from llmasos.ledger._adoption import adopt
from llmasos.ledger._contract import NOBODY, TREE_KEY, SessionState
from llmasos.ledger._digest import FIRST_HEAD, session_key
from llmasos.ledger._drafts import TREE, last_anchor, leaf_number, number_of
from llmasos.ledger._queue import Queue
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger.chains.port import Block, Chain, ChainError
from llmasos.store import Store

OLD_DATABASE_HINT = (
    "Put the newer database back; or begin again on a new contract: "
    "change the key, or move the chain away where it is our own."
)
REFUSED_HINT = "`llmasos ledger verify` says which records are concerned."


@dataclass(frozen=True)
class Held:
    """Why a line takes nothing more.

    Args:
        number: Its first record that the chain does not confirm; 0 when it confirms all.
    """

    message: str
    hint: str
    number: int


@dataclass(frozen=True)
class Resolved:
    """Where a line goes on: behind its first `count` records, the next of which is `number`.

    Args:
        mark: For the trees, the number of the last leaf among them.
        head: For the trees, the head after them.
        opened: Whether the chain has it already.
        redone: How many of its transactions were refused and are made anew.
    """

    count: int
    number: int
    mark: int
    head: bytes
    opened: bool
    redone: int


@dataclass(frozen=True)
class _Known:
    """What the database says of a line: all records, the confirmed ones, and refused transactions."""

    total: int
    confirmed: int
    refused: tuple[str, ...]


class Disputes:
    """Settles disputes over lines, by what the contract stores of them.

    A record goes to the chain again only if the chain proves that it is not there.
    """

    def __init__(self, store: Store, chain: Chain, queue: Queue) -> None:
        self._store, self._chain, self._queue = store, chain, queue

    async def settle(self, line: str, head: Block, *, again: bool) -> Held | Resolved:
        """Find out what the chain has of a line, note what we did not know, and say how it goes on.

        Args:
            again: Whether refused transactions may be made anew.
        """
        key = TREE_KEY if line == TREE else session_key(line)
        (state,) = await self._chain.sessions(self._queue.contract, [key], head)
        known = await self._store.read(lambda work: self._known(work, line))
        if state.count > known.confirmed:
            try:
                await adopt(self._store, self._chain, self._queue, line, known.confirmed, head)
            except ChainError as error:
                return await self._hold(
                    line,
                    known,
                    f"{_name(line)} cannot be compared with the chain: {error.message}",
                    error.hint,
                )
            known = await self._store.read(lambda work: self._known(work, line))
        cause, hint = await self._cause(line, state, known)
        if not cause and known.refused and not again:
            cause, hint = f"The contract refused a record of {_name(line)} twice.", REFUSED_HINT
        if cause:
            return await self._hold(line, known, cause, hint)
        return await self._resume(line, state, known)

    async def _cause(self, line: str, state: SessionState, known: _Known) -> tuple[str, str]:
        """Return why a line cannot go on, and the next step; nothing when it can."""
        name, account = _name(line), self._chain.account
        if state.count > known.total:
            counts = f"of {name} the chain has {state.count} records, the database {known.total}"
            return f"WrongSequence: the database is older than the chain: {counts}.", OLD_DATABASE_HINT
        if state.count != known.confirmed:
            return f"WrongHead: the chain has other records of {name} than the database.", REFUSED_HINT
        if state.owner not in (NOBODY, account):
            message = f"NotOwner: {name} belongs to {state.owner} on the chain, not to {account}."
            return message, "Put the key of its owner back, or begin again on a new contract with a new key."
        if state.closed:
            return f"SessionClosed: {name} was closed on the chain.", "Begin a new session."
        if state.head.hex() != await self._head(line, state.count):
            return f"WrongHead: the chain has other records of {name} than the database.", REFUSED_HINT
        return "", ""

    async def _head(self, line: str, count: int) -> str:
        if line == TREE:
            queue = self._queue
            last = await self._store.read(
                lambda work: last_anchor(work, queue.chain_id, queue.contract, "confirmed")
            )
            return (last.head if last else FIRST_HEAD).hex()
        query = select(RecordRow.head).where(RecordRow.session == line, RecordRow.seq == count)
        return (await self._store.read(lambda work: work.scalar(query))) or FIRST_HEAD.hex()

    async def _hold(self, line: str, known: _Known, cause: str, hint: str) -> Held:
        def note(work: Session) -> int:
            for tx_hash in known.refused:
                work.execute(update(OutboxRow).where(OutboxRow.tx_hash == tx_hash).values(error=cause))
            return self._number(work, line, known.confirmed + 1)

        return Held(cause, hint, await self._store.run(note))

    async def _resume(self, line: str, state: SessionState, known: _Known) -> Resolved:
        contract, chain_id = self._queue.contract, self._queue.chain_id

        def resume(work: Session) -> tuple[int, int, bytes]:
            for tx_hash in known.refused:
                why = update(OutboxRow).where(OutboxRow.tx_hash == tx_hash)
                work.execute(why.values(state="replaced", error="the contract refused it; it was made anew"))
            mark, head = 0, FIRST_HEAD
            if line == TREE:
                last = last_anchor(work, chain_id, contract, "confirmed")
                head = last.head if last else FIRST_HEAD
                mark = leaf_number(work, known.confirmed) or 0
            return self._number(work, line, known.confirmed + 1), mark, head

        number, mark, head = await self._store.run(resume)
        return Resolved(known.confirmed, number, mark, head, state.owner != NOBODY, len(known.refused))

    def _number(self, work: Session, line: str, place: int) -> int:
        found = leaf_number(work, place) if line == TREE else number_of(work, line, place)
        return found or 0

    def _known(self, work: Session, line: str) -> _Known:
        queue, row = self._queue, OutboxRow
        total = select(func.count()).select_from(RecordRow)
        sent = (
            select(func.coalesce(func.sum(row.count), 0))
            .select_from(row)
            .join(RecordRow, RecordRow.number == row.number)
        )
        sent = sent.where(
            row.chain_id == queue.chain_id,
            row.contract == queue.contract,
            row.state == "confirmed",
            row.count > 0,
        )
        refused = select(row.tx_hash).join(RecordRow, RecordRow.number == row.number)
        refused = refused.where(
            row.chain_id == queue.chain_id, row.contract == queue.contract, row.state == "failed"
        )
        mine = (RecordRow.route == "tree") if line == TREE else (RecordRow.session == line)
        return _Known(
            work.scalar(total.where(mine)) or 0,
            int(work.scalar(sent.where(mine)) or 0),
            tuple(work.scalars(refused.where(mine))),
        )


def known_lines(work: Session, queue: Queue, limit: int) -> set[str]:
    """Return the lines that the chain should know, those with the newest records first."""
    row = OutboxRow
    opened = select(RecordRow.session, RecordRow.route).join(row, RecordRow.number == row.number)
    opened = opened.where(row.contract == queue.contract, row.chain_id == queue.chain_id, row.call == "open")
    names = work.execute(opened.order_by(row.number.desc()).limit(limit))
    return {TREE if route == "tree" else name for name, route in names}


def _name(line: str) -> str:
    return "the session of the trees" if line == TREE else f"session {line!r}"
