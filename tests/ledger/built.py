"""Ledgers built by hand: records in a database, and the transactions that carry them on a chain in memory."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from llmasos.ledger import MemoryChain
from llmasos.ledger._contract import (
    TREE_KEY,
    anchor_call,
    append_call,
    append_many_call,
    created_address,
    deploy_code,
    open_call,
    rotate_call,
)
from llmasos.ledger._digest import FIRST_HEAD, canonical, next_anchored_head, next_history, session_key
from llmasos.ledger._merkle import Peaks
from llmasos.ledger._records import append
from llmasos.ledger._tables import AnchorRow, OutboxRow, RecordRow
from llmasos.ledger._types import Entry, Progress, Verdict, kind_number
from llmasos.ledger._verify import verify
from llmasos.ledger.anchors.port import AnchorError, AnchorMismatch, Statement
from llmasos.ledger.chains.port import Fees
from llmasos.store import Base, Store

KINDS = ("intent", "approval", "outcome", "commit", "undo")


class Notary:
    """An anchor in memory; `away` makes it fail."""

    def __init__(self, target: str = "notary:one") -> None:
        self.target = target
        self.away = False
        self.held: list[bytes] = []

    async def put(self, statement: Statement) -> bytes:
        self.held.append(statement.digest)
        return b"held " + statement.digest

    async def check(self, statement: Statement, receipt: bytes) -> str:
        if self.away:
            raise AnchorError("The notary is away.")
        if receipt != b"held " + statement.digest or statement.digest not in self.held:
            raise AnchorMismatch("The notary does not know this statement.")
        return statement.at

    async def digests(self) -> list[bytes] | None:
        if self.away:
            raise AnchorError("The notary is away.")
        return list(self.held)

    async def close(self) -> None:
        pass


class Built:
    """A ledger whose every step is taken by hand.

    Args:
        folder: Where its database lies.
    """

    def __init__(self, folder: Path, chain: MemoryChain | None = None) -> None:
        self.store = Store(f"sqlite:///{folder / 'ledger.db'}")
        Base.metadata.create_all(self.store.engine)
        self.chain = chain or MemoryChain()
        self.contract = ""
        self.notary = Notary()
        self._nonce, self._fee = 0, 10
        self._waiting: list[int] = []
        self._opened: set[bytes] = set()
        self._leaves, self._tree_head = 0, FIRST_HEAD

    def record(
        self, session: str, kind: str = "intent", action: str = "", *, tree: bool = False, **body: Any
    ) -> int:
        """Record something that waits to be carried, and return its number."""
        entry = Entry.model_validate({"session": session, "kind": kind, "action": action, "body": body})
        route = "tree" if tree else "session"
        row = self.store.run_sync(
            lambda work: append(work, entry, canonical(body).decode(), route=route)  # type: ignore[arg-type]
        )
        self._waiting.append(row.number)
        return int(row.number)

    def erase(self, *numbers: int) -> int:
        """Erase bodies and record that."""
        change = update(RecordRow).where(RecordRow.number.in_(numbers)).values(body=None, body_salt=None)
        self.store.run_sync(lambda work: work.execute(change))
        return self.record("ledger", "erase", ranges=[[n, n] for n in numbers], reason="asked", by="me")

    async def deploy(self) -> None:
        """Deploy the contract."""
        self.contract = created_address(self.chain.account, self._nonce)
        await self.send("deploy", deploy_code(), to="")

    async def carry(self, size: int = 1, *, attempts: int = 1) -> None:
        """Carry all records that wait, `size` of a session in a transaction or in a tree."""
        if not self.contract:
            await self.deploy()
        query = select(RecordRow).where(RecordRow.number.in_(self._waiting)).order_by(RecordRow.number)
        rows = self.store.run_sync(lambda work: list(work.scalars(query)))
        leaves = [row for row in rows if row.route == "tree"]
        lines: dict[str, list[RecordRow]] = {}
        for row in rows:
            if row.route == "session":
                lines.setdefault(row.session, []).append(row)
        for group in lines.values():
            for start in range(0, len(group), size):
                await self._append(group[start : start + size], attempts)
        for start in range(0, len(leaves), max(size, 2)):
            await self._anchor(leaves[start : start + max(size, 2)])
        self._waiting = []

    async def rotate(self, new: str) -> None:
        """Hand everything to another account."""
        old = self.chain.account
        said: dict[str, Any] = {"from": old, "to": new}
        self.record("ledger", "rotate", **said)
        await self.carry()
        await self.send("rotate", rotate_call(sorted(self._opened), new))
        await self.send("fund", b"", to=new, value=await self.chain.balance() // 2)
        self.chain._account, self._nonce = new, 0

    async def anchor(self) -> None:
        """Put a statement about all records outside."""
        query = select(RecordRow.digest).order_by(RecordRow.number)
        digests = self.store.run_sync(lambda work: list(work.scalars(query)))
        history = FIRST_HEAD
        for digest in digests:
            history = next_history(history, bytes.fromhex(digest))
        block = await self.chain.block()
        assert block is not None
        statement = Statement(
            chain_id=self.chain.chain_id,
            contract=self.contract,
            block=block.number,
            block_hash=block.hash,
            records=len(digests),
            history=history.hex(),
            at="2026-01-01T00:00:00.000000+00:00",
        )
        receipt = await self.notary.put(statement)
        row = AnchorRow(
            target=self.notary.target,
            digest=statement.digest.hex(),
            receipt=receipt,
            **statement.model_dump(),
        )
        self.store.run_sync(lambda work: work.add(row))

    async def send(
        self,
        call: str,
        data: bytes,
        *,
        number: int = 0,
        count: int = 0,
        to: str | None = None,
        value: int = 0,
        attempts: int = 1,
        mine: bool = True,
    ) -> None:
        """Sign and send a transaction, after attempts that offered less, and note what became of it."""
        target = (self.contract if to is None else to) or None
        for attempt in range(attempts):
            signed = self.chain.sign(self._nonce, target, data, Fees(self._fee * (attempt + 1), 0), value)
            row = OutboxRow(
                account=self.chain.account,
                chain_id=self.chain.chain_id,
                nonce=self._nonce,
                attempt=attempt,
                contract=self.contract,
                call=call,
                number=number,
                count=count,
                raw=signed.raw,
                tx_hash=signed.tx_hash,
                state="replaced" if mine else "pending",
                error="",
                block=0,
                block_hash="",
                cost="0",
            )
            if mine and attempt == attempts - 1:
                await self.chain.send([signed.raw])
                (receipt,) = await self.chain.receipts([signed.tx_hash])
                assert receipt is not None
                row.state = "confirmed" if receipt.ok else "failed"
                row.error = "" if receipt.ok else "the contract refused it"
                row.block, row.block_hash, row.cost = receipt.block, receipt.block_hash, str(receipt.cost)
            self.store.run_sync(lambda work, row=row: work.add(row))  # type: ignore[misc]
        self._nonce += 1

    async def settle(self) -> None:
        """Note anew in which blocks the transactions are, as after a reorganisation."""
        rows = self.store.run_sync(lambda work: list(work.scalars(select(OutboxRow))))
        receipts = await self.chain.receipts([row.tx_hash for row in rows])

        def save(work: Any) -> None:
            for row, receipt in zip(rows, receipts, strict=True):
                if receipt is not None:
                    row.block, row.block_hash = receipt.block, receipt.block_hash
                elif row.state == "confirmed":
                    row.state, row.block, row.block_hash, row.cost = "pending", 0, "", "0"
                work.merge(row)

        self.store.run_sync(save)

    async def verify(self, *, settled: bool = True, **others: Any) -> Verdict:
        """Verify all records that are there."""
        newest = select(func.max(RecordRow.number)).where(func.typeof(RecordRow.number) == "integer")
        last = self.store.run_sync(lambda work: work.scalar(newest) or 0)
        values: dict[str, Any] = {
            "contract": self.contract or None,
            "last": last,
            "settled": settled,
            "anchors": [self.notary],
        }
        return await verify(self.store, self.chain, **{**values, **others})

    async def _append(self, rows: Sequence[RecordRow], attempts: int) -> None:
        key, first = session_key(rows[0].session), rows[0]
        await self._open(key, first.number)
        before = select(RecordRow.head).where(
            RecordRow.session == first.session, RecordRow.seq == first.seq - 1
        )
        head = self.store.run_sync(lambda work: work.scalar(before))
        prev = bytes.fromhex(head) if head else FIRST_HEAD
        digests = [bytes.fromhex(row.digest) for row in rows]
        kinds = [kind_number(row.kind) for row in rows]
        if len(rows) == 1:
            data = append_call(key, first.seq, prev, digests[0], kinds[0])
        else:
            data = append_many_call(key, first.seq, prev, digests, kinds)
        call = "append" if len(rows) == 1 else "many"
        await self.send(call, data, number=first.number, count=len(rows), attempts=attempts)

    async def _anchor(self, rows: Sequence[RecordRow]) -> None:
        await self._open(TREE_KEY, rows[0].number)
        tree = Peaks()
        for row in rows:
            tree.add(bytes.fromhex(row.digest))
        first, prev, count = self._leaves + 1, self._tree_head, len(rows)
        data = anchor_call(TREE_KEY, first, prev, tree.root, count)
        await self.send("anchor", data, number=rows[0].number, count=count)
        self._tree_head = next_anchored_head(TREE_KEY, first, prev, tree.root, count)
        self._leaves += count

    async def _open(self, key: bytes, number: int) -> None:
        if key not in self._opened:
            self._opened.add(key)
            await self.send("open", open_call(key), number=number)


async def varied(folder: Path) -> Built:
    """Return a ledger in which everything occurs: all calls, several attempts, a rotation, an erased body."""
    built = Built(folder)
    built.record("s", "intent", "a1", n=1)
    built.record("s", "outcome", "a1", n=1)
    built.record("other", "intent", "a2", path="x")
    await built.carry(attempts=2)
    built.record("trees", "intent", "a3", tree=True, n=3)
    built.record("trees", "outcome", "a3", tree=True, n=3)
    built.record("s", "intent", "a4", n=4)
    built.record("s", "outcome", "a4", n=4)
    built.record("more trees", "intent", "a5", tree=True, n=5)
    await built.carry(3)
    await built.anchor()
    built.erase(2, 5)
    await built.carry()
    await built.rotate("0x" + "22" * 20)
    built.record("s", "intent", "a6", n=6)
    built.record("after", "plugin", "", name="p")
    built.record("trees", "commit", "a7", tree=True, n=7)
    built.record("trees", "undo", "a7", tree=True, n=7)
    await built.carry(2)
    await built.anchor()
    return built


async def anything(folder: Path, seed: int) -> Built:
    """Return a ledger with a history of its own."""
    dice = random.Random(seed)
    built = Built(folder, MemoryChain(automatic=True))
    accounts = iter("0x" + f"{n:02x}" * 20 for n in range(0x30, 0x60))
    count, erasable = 0, []
    for _ in range(dice.randrange(1, 6)):
        for _ in range(dice.randrange(0, 9)):
            count += 1
            name = f"session {dice.randrange(4)}"
            body = {"n": count, "text": dice.choice(["", "ä", "\n", '"', "\u2028", "𝔘"])}
            tree = dice.random() < 0.4
            number = built.record(name, dice.choice(KINDS), f"a{count // 2}", tree=tree, **body)
            erasable.append(number)
        if erasable and dice.random() < 0.3:
            built.erase(dice.choice(erasable))
            count += 1
        await built.carry(dice.choice([1, 2, 5]), attempts=dice.choice([1, 1, 2]))
        if count and dice.random() < 0.3:
            await built.anchor()
        if dice.random() < 0.2:
            await built.rotate(next(accounts))
            count += 1
    return built


def steps() -> tuple[list[Progress], Any]:
    """Return a list of what is told, and what tells it."""
    told: list[Progress] = []
    return told, told.append
