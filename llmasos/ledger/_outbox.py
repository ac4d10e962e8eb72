"""The outbox: records become signed transactions, which are stored, then sent until the chain has them."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import anyio.to_thread
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session, aliased

from llmasos.ledger import _contract
from llmasos.ledger._digest import FIRST_HEAD, session_key
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import kind_number
from llmasos.ledger.chains.port import Chain, ChainError
from llmasos.store import Store

BATCH = 64
REVERTED = "the contract refused it"


@dataclass(frozen=True)
class _Draft:
    """A transaction that is not signed yet; a deployment has no data of its own and makes a new contract."""

    call: str
    number: int
    data: bytes


class Outbox:
    """Carries the records of one store to one chain, in their order, each exactly once.

    Nonces are assigned here and signed bytes are durable before they are sent, so whatever dies at whatever
    moment, the same bytes are sent again, and the chain takes them once. A chain that has lost its blocks
    gets the same bytes again, the contract's deployment included.
    """

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store, self._chain = store, chain
        self._queue: list[OutboxRow] = []
        self._sent: set[str] = set()
        self._next_nonce = 0
        self._signed = 0
        self.contract: str | None = None
        self.resent = 0

    @property
    def settled(self) -> int:
        """The number up to which every record was taken or refused; -1 before the contract is there."""
        if self.contract is None:
            return -1
        waiting = [row.number for row in self._queue if row.call != "open"]
        return min(waiting) - 1 if waiting else self._signed

    @property
    def waiting(self) -> bool:
        """Whether a transaction is sent and not yet mined."""
        return bool(self._queue)

    async def recover(self) -> None:
        """Bring outbox and chain together, after a start or after the chain was away.

        Raises:
            ChainError: The chain cannot be reached, or is not the one these records were written to.
        """
        await self._chain.connect()
        mined = await self._chain.nonce()
        rows = await self._store.run(lambda session: self._unfinished(session, mined))
        lost = [row for row in rows if row.state != "pending"]
        self.resent += len(lost)
        self._sent = set()
        settled: list[OutboxRow] = []
        waiting: list[OutboxRow] = []
        for row in rows:
            receipt = await self._chain.receipt(row.tx_hash) if row.nonce < mined else None
            if receipt is None:
                row.state, row.error = "pending", ""
                waiting.append(row)
            else:
                settled.append(_settled(row, ok=receipt.ok))
        await self._save(settled + waiting)
        self._queue = waiting
        await self._store.run(self._load)
        self._next_nonce = max(mined, *(row.nonce + 1 for row in self._queue)) if self._queue else mined
        if [row.nonce for row in self._queue] != list(range(mined, mined + len(self._queue))):
            await self._sign_again(mined)
        if self.contract is None:
            await self._sign([_Draft("deploy", 0, b"")])
        elif not any(row.call == "deploy" for row in self._queue) and not await self._chain.has_code(
            self.contract
        ):
            raise ChainError(
                "The chain is not the one that these records were written to: it lacks their contract.",
                hint="Put the chain's file back, or move it away: all records are then sent again.",
            )

    async def pump(self) -> bool:
        """Sign, send and settle what is there, and return whether more records wait to be signed.

        Raises:
            ChainError: The chain did not take a transaction; `recover` comes next.
        """
        full = False
        if len(self._queue) < BATCH:
            drafts = await self._store.run(self._drafts)
            full = len(drafts) >= BATCH
            await self._sign(drafts)
        settled: list[OutboxRow] = []
        try:
            for row in self._queue:
                if row.tx_hash not in self._sent:
                    await self._chain.send(row.raw)
                    self._sent.add(row.tx_hash)
                receipt = await self._chain.receipt(row.tx_hash)
                if receipt is not None:
                    settled.append(_settled(row, ok=receipt.ok))
        finally:
            with anyio.CancelScope(shield=True):
                await self._save(settled)
            self._queue = [row for row in self._queue if row.state == "pending"]
            self._sent.intersection_update(row.tx_hash for row in self._queue)
        return full and not self._queue

    def _mine(self) -> ColumnElement[bool]:
        return and_(OutboxRow.account == self._chain.account, OutboxRow.chain_id == self._chain.chain_id)

    def _unfinished(self, session: Session, mined: int) -> list[OutboxRow]:
        """Return transactions that wait, and finished ones that the chain has lost, by nonce."""
        query = select(OutboxRow).where(self._mine()).order_by(OutboxRow.nonce)
        rows = session.scalars(query.where((OutboxRow.state == "pending") | (OutboxRow.nonce >= mined)))
        return list(rows)

    def _load(self, session: Session) -> None:
        deployed = select(OutboxRow.contract).where(self._mine(), OutboxRow.call == "deploy")
        self.contract = session.scalar(deployed.order_by(OutboxRow.nonce.desc()).limit(1))
        self._signed = (
            session.scalar(
                select(func.coalesce(func.max(OutboxRow.number), 0)).where(
                    self._mine(),
                    OutboxRow.contract == (self.contract or ""),
                    OutboxRow.call == "append",
                )
            )
            or 0
        )

    def _drafts(self, session: Session) -> list[_Draft]:
        """Return the calls for the next unsigned records."""
        before = aliased(RecordRow)
        joined = (before.session == RecordRow.session) & (before.seq == RecordRow.seq - 1)
        query = select(RecordRow, before.head).outerjoin(before, joined).order_by(RecordRow.number)
        query = query.where(RecordRow.number > self._signed).limit(BATCH)
        drafts = []
        for row, head in session.execute(query):
            key = session_key(row.session)
            if row.seq == 1:
                drafts.append(_Draft("open", row.number, _contract.open_call(key)))
            prev = bytes.fromhex(head) if head is not None else FIRST_HEAD
            data = _contract.append_call(key, row.seq, prev, bytes.fromhex(row.digest), kind_number(row.kind))
            drafts.append(_Draft("append", row.number, data))
        return drafts

    async def _sign_again(self, nonce: int) -> None:
        """Sign the waiting transactions with other nonces, because theirs are taken or leave a gap."""
        stale, self._next_nonce = self._queue, nonce
        drafts = [
            _Draft(row.call, row.number, b"" if row.call == "deploy" else _contract.transaction(row.raw).data)
            for row in stale
        ]
        await self._sign(drafts, instead_of=stale)

    async def _sign(self, drafts: list[_Draft], instead_of: list[OutboxRow] | None = None) -> None:
        if not drafts:
            return
        rows = await anyio.to_thread.run_sync(self._signed_rows, drafts)

        def save(session: Session) -> None:
            for row in instead_of or []:
                session.delete(row)
            session.flush()
            session.add_all(rows)

        await self._store.run(save, durable=True)
        # In this order, so that `settled` never runs ahead.
        self._queue = rows if instead_of is not None else self._queue + rows
        self.contract = rows[-1].contract
        self._next_nonce += len(rows)
        self._signed = max([self._signed, *(row.number for row in rows if row.call == "append")])

    def _signed_rows(self, drafts: list[_Draft]) -> list[OutboxRow]:
        rows = []
        account, contract = self._chain.account, self.contract or ""
        for nonce, draft in enumerate(drafts, self._next_nonce):
            if draft.call == "deploy":
                contract = _contract.created_address(account, nonce)
                signed = self._chain.sign(nonce, None, _contract.deploy_code())
            else:
                signed = self._chain.sign(nonce, contract, draft.data)
            rows.append(
                OutboxRow(
                    account=account,
                    chain_id=self._chain.chain_id,
                    nonce=nonce,
                    contract=contract,
                    call=draft.call,
                    number=draft.number,
                    raw=signed.raw,
                    tx_hash=signed.tx_hash,
                    state="pending",
                    error="",
                )
            )
        return rows

    async def _save(self, rows: list[OutboxRow]) -> None:
        if not rows:
            return

        def save(session: Session) -> None:
            for row in rows:
                same = OutboxRow.tx_hash == row.tx_hash
                session.execute(update(OutboxRow).where(same).values(state=row.state, error=row.error))

        await self._store.run(save)


def _settled(row: OutboxRow, *, ok: bool) -> OutboxRow:
    row.state, row.error = ("confirmed", "") if ok else ("failed", REVERTED)
    return row
