"""Changing the key: all sessions are handed over, and the new account goes on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from llmasos.ledger import ChainRefused
from llmasos.ledger._contract import TREE_KEY, transaction
from llmasos.ledger._digest import session_key
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger.chains.memory import GAS
from llmasos.ledger.chains.port import ChainError
from tests.ledger.conftest import Bench

pytestmark = pytest.mark.anyio

OLD = "0x" + "11" * 20


async def rotate(bench: Bench) -> str:
    new = await bench.chain.prepare()
    await bench.settle()
    return new


@pytest.mark.parametrize("mode", ["each", "merkle"])
async def test_all_sessions_are_handed_over(bench: Bench, mode: str) -> None:
    await bench.record("a", 2)
    await bench.settle()
    bench.reopen(mode=mode)
    await bench.record("b", 2)
    await bench.settle()
    contract = bench.outbox.contract
    new = await rotate(bench)
    await bench.settle()
    await bench.record("a")
    await bench.record("b")
    await bench.settle()
    bench.check()
    assert (bench.chain.account, bench.outbox.contract) == (new, contract)
    keys = [session_key("a"), TREE_KEY if mode == "merkle" else session_key("b")]
    assert {bench.chain.states[contract, key].owner for key in keys} == {new}
    assert bench.chain._balance(OLD) == 0
    (record,) = [row for row in bench.rows(RecordRow) if row.kind == "rotate"]
    assert record.session == "ledger"
    calls = [
        row.call for row in sorted(bench.rows(OutboxRow), key=lambda row: row.nonce) if row.account == OLD
    ]
    assert calls[-2:] == ["rotate", "fund"]
    by_new = [row for row in bench.rows(OutboxRow) if row.account == new]
    assert record.number in {row.number for row in by_new} or mode == "merkle"


async def test_many_sessions_take_several_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.ledger._rotation.BATCH", 3)
    for number in range(7):
        await bench.record(f"s{number}")
    await bench.settle()
    await rotate(bench)
    await bench.settle()
    bench.check()
    assert [row.call for row in bench.rows(OutboxRow)].count("rotate") == 3


async def test_a_key_can_be_changed_again_and_before_there_is_anything(bench: Bench) -> None:
    await rotate(bench)
    await bench.record("a")
    await bench.settle()
    await rotate(bench)
    await bench.record("a")
    await bench.settle()
    bench.check()
    assert len({row.account for row in bench.rows(OutboxRow)}) == 3


async def test_a_fork_behind_the_change_is_walked_back(bench: Bench) -> None:
    await bench.record("a", 2)
    await bench.settle()
    await rotate(bench)
    await bench.record("a", 2)
    await bench.settle()
    bench.chain.reorganise(4)
    await bench.settle()
    bench.check()
    assert bench.chain.states[bench.outbox.contract, session_key("a")].owner == bench.chain.account


async def test_a_wiped_chain_begins_anew_with_the_new_key(bench: Bench) -> None:
    await bench.record("a", 2)
    await bench.settle()
    new = await rotate(bench)
    await bench.settle()
    bench.chain.wipe()
    bench.chain._first = new
    await bench.record("a")
    await bench.settle(200)
    bench.check()
    assert [row.state for row in bench.rows(OutboxRow) if row.call == "deploy"] == ["replaced", "confirmed"]


async def test_what_remains_is_handed_over_when_it_is_less_than_was_signed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.record("a", 2)
    await bench.settle()
    new = await bench.chain.prepare()
    real = bench.chain.send

    async def send(transactions: Sequence[bytes]) -> None:
        if any(transaction(raw).value for raw in transactions):
            raise ChainError("The line is cut.")
        await real(transactions)

    monkeypatch.setattr(bench.chain, "send", send)
    with pytest.raises(ChainError, match="cut"):
        for _ in range(20):
            await bench.outbox.step()
    monkeypatch.undo()
    bench.chain.wipe()
    bench.chain.endowment -= 1
    bench.reopen()
    await bench.settle()
    await bench.record("a")
    await bench.settle()
    bench.check()
    assert bench.chain.account == new
    assert 0 <= bench.chain._balance(OLD) <= GAS
    funds = [row for row in bench.rows(OutboxRow) if row.call == "fund"]
    assert sorted(row.state for row in funds) == ["confirmed", "replaced"]


async def test_a_contract_that_refuses_the_change_is_said(bench: Bench) -> None:
    await bench.record("a", 2)
    await bench.settle()
    bench.chain.refuse = lambda raw: len(transaction(raw).data) > 0
    await bench.chain.prepare()
    with pytest.raises(ChainRefused, match="refuses to hand the sessions"):
        for _ in range(20):
            await bench.outbox.step()
    assert bench.chain.account == OLD
    bench.chain.refuse = lambda raw: False


async def test_an_old_copy_of_the_database_does_not_begin_another_contract(bench: Bench) -> None:
    await bench.record("a", 2)
    await bench.settle()
    contract = bench.outbox.contract
    copy = {table: bench.rows(table) for table in (RecordRow, OutboxRow)}
    await rotate(bench)
    await bench.record("a")
    await bench.settle()

    def restore(work: Session) -> None:
        for table, rows in copy.items():
            work.execute(delete(table))
            for row in rows:
                work.merge(row)

    bench.store.run_sync(restore)
    bench.reopen()
    await bench.settle()
    assert bench.outbox.contract == contract
    assert "the database is older than the chain" in bench.outbox.held["a"].message
