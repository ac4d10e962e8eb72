"""What the tests of recording and submitting share: a ledger on fakes, driven step by step or by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text

from llmasos.ledger import ChainLedger, Entry, MemoryChain
from llmasos.ledger._contract import TREE_KEY, Anchored, Appended
from llmasos.ledger._digest import session_key
from llmasos.ledger._merkle import root as tree_root
from llmasos.ledger._outbox import Outbox
from llmasos.ledger._recorder import Recorder
from llmasos.ledger._records import route_of
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger.chains.port import ChainError
from llmasos.store import Base, Store

Opened = Callable[..., AbstractAsyncContextManager[ChainLedger]]


class Bench:
    """A store and a chain with an outbox that goes only when it is told to.

    Args:
        options: What the outbox is given.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.store = Store(f"sqlite:///{folder / 'ledger.db'}")
        # What is tested here outlives a process, not a power cut.
        for engine in (self.store.engine, self.store.durable_engine):
            event.listen(
                engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF").close()
            )
        Base.metadata.create_all(self.store.engine)
        self.chain = MemoryChain()
        self.options = {"wait": 0.0, **options}
        self.reopen()

    def reopen(self, **options: Any) -> None:
        """Begin anew, as after a crash."""
        self.options |= options
        self.recorder = Recorder(self.store, route_of(self.options.get("mode", "each")))
        self.outbox = Outbox(self.store, self.chain, announce=self._announce, **self.options)

    async def record(self, session: str = "s", count: int = 1) -> None:
        """Make records."""
        for _ in range(count):
            await self.recorder.write(Entry(session=session, kind="intent"))

    async def settle(self, most: int = 60) -> None:
        """Go on until everything is settled, through whatever errors there are."""
        last = len(self.rows(RecordRow))
        for _ in range(most):
            try:
                await self.outbox.step()
            except ChainError:
                self.chain.mine()
                continue
            if self.outbox.settled(last) and not self.chain.successor:
                return
            self.chain.mine()
        raise AssertionError("the outbox does not come to an end")

    def rows(self, table: type[Any]) -> list[Any]:
        """Return all rows of a table."""
        return self.store.run_sync(lambda work: list(work.scalars(select(table))))

    def execute(self, statement: str) -> None:
        """Change the database behind the ledger's back."""
        self.store.run_sync(lambda work: work.execute(text(statement)) and None)

    def check(self) -> None:
        """See that the chain has each record exactly once, in its place, and that the outbox says so."""
        check(self.store, self.chain, self.outbox.contract)

    def close(self) -> None:
        """Let go of the database."""
        self.recorder.close()
        self.store.close()

    async def _announce(self, old: str, new: str) -> None:
        body = {"from": old, "to": new}
        if not any(row.kind == "rotate" for row in self.rows(RecordRow)):
            await self.recorder.write(Entry(session="ledger", kind="rotate", body=body))


def check(store: Store, chain: MemoryChain, contract: str) -> None:
    """See that a contract has each record exactly once, in its place, and that the outbox says so."""
    records = store.run_sync(lambda work: list(work.scalars(select(RecordRow).order_by(RecordRow.number))))
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    lines: dict[bytes, list[RecordRow]] = {}
    for record in records:
        key = TREE_KEY if record.route == "tree" else session_key(record.session)
        lines.setdefault(key, []).append(record)
    events = [one for address, one in chain.events if address == contract]
    for key, line in lines.items():
        digests: list[str] = []
        for one in events:
            if one.key != key:
                continue
            if isinstance(one, Appended):
                assert one.seq == len(digests) + 1
                digests.append(one.digest.hex())
            if isinstance(one, Anchored):
                assert one.first == len(digests) + 1
                some = [record.digest for record in line[len(digests) : len(digests) + one.count]]
                assert tree_root([bytes.fromhex(digest) for digest in some]) == one.root
                digests += some
        assert digests == [record.digest for record in line]
        state = chain.states[contract, key]
        assert state.count == len(line)
        if key != TREE_KEY:
            assert state.head.hex() == line[-1].head
    assert {one.key for one in events} == set(lines)
    sent = store.run_sync(
        lambda work: list(work.scalars(select(OutboxRow).where(OutboxRow.contract == contract)))
    )
    carrying = [row for row in sent if row.state == "confirmed" and row.count]
    assert sum(row.count for row in carrying) == len(records)
    assert len({row.number for row in carrying}) == len(carrying)
    assert not [row for row in sent if row.state in ("pending", "failed")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An outbox that goes only when it is told to."""
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """A ledger that submits by itself, on a chain that is handed in."""

    @asynccontextmanager
    async def open_ledger(chain: MemoryChain, **options: Any) -> AsyncIterator[ChainLedger]:
        store = Store(f"sqlite:///{tmp_path / 'ledger.db'}")
        Base.metadata.create_all(store.engine)
        try:
            async with ChainLedger(store, chain, **options) as ledger:
                yield ledger
        finally:
            store.close()

    return open_ledger
