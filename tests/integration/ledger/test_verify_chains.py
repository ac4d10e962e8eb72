"""Verification on real chains: a ledger in which everything occurs, and damage to its files."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal

import pytest

from llmasos.ledger import ChainLedger, Entry, Filter, Verdict
from llmasos.ledger._digest import use_native_code
from llmasos.ledger.anchors.file import FileAnchor
from llmasos.ledger.chains.anvil import AnvilChain
from llmasos.ledger.chains.embedded import EmbeddedChain
from llmasos.ledger.chains.local import BATCH
from llmasos.ledger.chains.port import Chain, ChainError, ChainRefused
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import CallTransport
from llmasos.store import Base, Store

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

MODES: tuple[Literal["each", "batch", "merkle"], ...] = ("each", "batch", "merkle")
DATABASE, BLOCKS = Path("ledger.db"), Path("chain") / "blocks.db"
TABLES = {
    BLOCKS: ("blocks", "nodes", "logs"),
    DATABASE: ("ledger_records", "ledger_outbox", "ledger_anchors"),
}
# Of the database, the reason of a refusal proves nothing, nor does a receipt that is still to come; where a
# transaction was mined the outbox asks again when it starts.
UNPROVED = ("error", "receipt", "block", "block_hash", "cost")
NEWEST = "UPDATE blocks SET header = zeroblob(600) WHERE number = (SELECT max(number) FROM blocks)"
CHAIN_CHANGES, DATABASE_CHANGES = 60, 44
PATIENCE = 60.0


class HousedChain(EmbeddedChain):
    """The embedded chain with its node in this process, so that it starts in milliseconds."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._client = RpcClient(CallTransport(self._exchange), batch=BATCH)
        self._evm: Any = None

    async def _exchange(self, question: bytes) -> bytes:
        from llmasos.ledger.node.methods import Methods

        if self._evm is None:
            raise ChainError("The node is not there.")
        methods, asked = Methods(self._evm), json.loads(question)
        found = [methods.answer(one) for one in asked] if isinstance(asked, list) else methods.answer(asked)
        return json.dumps(found).encode()

    async def _start(self) -> None:
        use_native_code()
        from llmasos.errors import LedgerError
        from llmasos.ledger.node.evm import Evm

        try:
            self._evm = Evm(self.database, bytes.fromhex(self.account.removeprefix("0x")))
        except LedgerError as error:
            raise ChainRefused(error.message, hint=error.hint) from error

    async def _stop(self) -> None:
        if self._evm is not None:
            self._evm.close()
            self._evm = None


@asynccontextmanager
async def opened(
    folder: Path, chain: Chain, mode: Literal["each", "batch", "merkle"] = "each"
) -> AsyncIterator[ChainLedger]:
    store = Store(f"sqlite:///{folder / DATABASE}")
    anchor = FileAnchor(folder / "anchors.jsonl")
    Base.metadata.create_all(store.engine)
    try:
        async with ChainLedger(
            store, chain, mode=mode, batch=4, wait=0.01, anchors=[anchor], anchor_hours=0
        ) as ledger:
            yield ledger
    finally:
        store.close()


async def fill(folder: Path, chains: Iterator[Chain]) -> None:
    """Record in every mode, with anchors, an erasure and a rotation in between."""
    for place, mode in enumerate(MODES):
        async with opened(folder, next(chains), mode) as ledger:
            for number in range(6):
                body = {"text": f"{mode} {number} ä"}
                kind: Literal["intent", "outcome"] = "outcome" if number % 2 else "intent"
                session = f"{mode} {number % 2}"
                await ledger.record(Entry(session=session, kind=kind, action=f"a{number}", body=body))
            assert await ledger.flush(PATIENCE)
            await ledger.anchor()
            await ledger.erase(Filter(session=f"{mode} 1"), "asked", "me")
            if place == 1:
                await ledger.rotate()
            await ledger.record(Entry(session=f"{mode} 0", kind="commit", action="a9", body={"after": True}))
            assert await ledger.flush(PATIENCE)


async def verified(folder: Path, chain: Chain) -> Verdict:
    async with opened(folder, chain) as ledger:
        await ledger.flush(PATIENCE)
        return await ledger.verify()


async def test_a_ledger_in_which_everything_occurs_is_in_order(tmp_path: Path) -> None:
    for kind in (EmbeddedChain, AnvilChain):
        folder = tmp_path / kind.__name__
        folder.mkdir()
        await fill(folder, iter([kind(folder) for _ in MODES]))
        verdict = await verified(folder, kind(folder))
        assert verdict.finding == "ok", (kind, verdict)
        assert verdict.confirmed == verdict.checked >= 21
        assert verdict.erased == 9
        assert len(verdict.anchored) == 3


async def test_an_absent_chain_is_no_finding_and_a_damaged_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._ledger.VERIFY_WAIT_SECONDS", 0.1)
    for error, finding in (ChainError("It is away."), "unreachable"), (ChainRefused("It is damaged."), "bad"):

        async def fail(chain: HousedChain, error: ChainError = error) -> None:
            raise error

        monkeypatch.setattr(HousedChain, "connect", fail)
        async with opened(tmp_path, HousedChain(tmp_path)) as ledger:
            await ledger.record(Entry(session="s", kind="intent", action="a", body={}))
            verdict = await ledger.verify()
        assert verdict.finding == finding, verdict
        assert any(error.message in problem for problem in verdict.problems)


def changes(folder: Path, file: Path, count: int, dice: random.Random) -> Iterator[tuple[str, list[Any]]]:
    """Return changes to a file's rows: a column has another bit, or a row is gone."""
    rows: dict[str, list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(folder / file)) as sql:
        sql.row_factory = sqlite3.Row
        for table in TABLES[file]:
            rows[table] = [dict(row) for row in sql.execute(f"SELECT * FROM {table}")]
    if file == BLOCKS:
        yield NEWEST, []
    for number in range(count):
        table = TABLES[file][number % 3]
        row = dice.choice(rows[table])
        where = " AND ".join(f"{name} IS ?" for name in row)
        # The last attempts of what came to nothing may be gone without a trace.
        if number % 5 == 0 and table != "ledger_outbox":
            yield f"DELETE FROM {table} WHERE {where}", list(row.values())
            continue
        free = UNPROVED if file == DATABASE else ()
        names = [name for name in row if row[name] is not None and name not in free]
        name = dice.choice(names)
        value = row[name]
        if isinstance(value, int):
            new: Any = value ^ (1 << dice.randrange(12))
        else:
            raw = bytearray(value.encode() if isinstance(value, str) else value) or bytearray(1)
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(7)
            new = raw.decode(errors="replace") if isinstance(value, str) else bytes(raw)
        yield f"UPDATE OR IGNORE {table} SET {name} = ? WHERE {where}", [new, *row.values()]


@pytest.mark.parametrize(("file", "count"), [(BLOCKS, CHAIN_CHANGES), (DATABASE, DATABASE_CHANGES)])
async def test_damage_to_the_files_of_a_real_chain_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path, count: int
) -> None:
    monkeypatch.setattr("llmasos.ledger._ledger.VERIFY_WAIT_SECONDS", 0.1)
    live, kept, dice, found, refused = tmp_path / "live", tmp_path / "kept", random.Random(str(file)), 0, 0
    live.mkdir()
    await fill(live, iter([HousedChain(live) for _ in MODES]))
    before = await verified(live, HousedChain(live))
    assert before.finding == "ok", before
    shutil.copytree(live, kept)
    for statement, values in changes(kept, file, count, dice):
        shutil.rmtree(live)
        shutil.copytree(kept, live)
        with closing(sqlite3.connect(live / file)) as sql, sql:
            changed = sql.execute(statement, values).rowcount
        if not changed:
            continue
        async with opened(live, HousedChain(live)) as ledger:
            await ledger.flush(0.1)
            verdict = await ledger.verify()
        assert verdict.finding == "bad", (statement, values, verdict)
        found += 1
        refused += any("cannot be used" in problem for problem in verdict.problems)
    assert found >= 0.9 * count
    assert file != BLOCKS or refused
