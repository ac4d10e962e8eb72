"""Disputes: nonces that others used, older databases, and records that the contract refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from llmasos.errors import ConfigError
from llmasos.ledger import ChainRefused
from llmasos.ledger._contract import TREE_KEY, transaction
from llmasos.ledger._digest import session_key
from llmasos.ledger._tables import OutboxRow
from tests.ledger.conftest import Bench

pytestmark = pytest.mark.anyio

MODES = ("each", "batch", "merkle")
ELSEWHERE = "0x" + "33" * 20


async def use_nonce(bench: Bench) -> None:
    """Use the account's next nonce, as a stranger with the key would."""
    chain = bench.chain
    await chain.send([chain.sign(await chain.nonce(), ELSEWHERE, b"", await chain.fees()).raw])


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_whose_nonce_was_taken_gets_another_one(bench: Bench, mode: str) -> None:
    bench.reopen(mode=mode)
    await bench.record("a")
    await bench.settle()
    bench.chain._automatic = False
    await bench.record("a", 3)
    await bench.record("b", 2)
    await bench.outbox.step()
    bench.chain._waiting.clear()
    await use_nonce(bench)
    bench.chain.mine()
    await bench.settle()
    bench.check()
    lost = [row for row in bench.rows(OutboxRow) if row.state == "replaced"]
    assert lost
    assert all(row.error for row in lost)


async def test_a_deployment_whose_nonce_was_taken_is_made_again(bench: Bench) -> None:
    bench.chain._automatic = False
    await bench.outbox.step()
    bench.chain._waiting.clear()
    await use_nonce(bench)
    await bench.record()
    await bench.settle()
    bench.check()
    assert sorted(row.state for row in bench.rows(OutboxRow) if row.call == "deploy") == [
        "confirmed",
        "replaced",
    ]


async def test_a_deployment_that_failed_is_made_again(bench: Bench) -> None:
    failures = [1]
    bench.chain.refuse = lambda raw: transaction(raw).to is None and bool(failures and failures.pop())
    await bench.record("a", 2)
    await bench.settle()
    bench.check()
    assert sorted(row.state for row in bench.rows(OutboxRow) if row.call == "deploy") == [
        "confirmed",
        "failed",
    ]


async def test_a_deployment_that_always_fails_is_not_made_for_ever(bench: Bench) -> None:
    bench.chain.refuse = lambda raw: True
    with pytest.raises(ChainRefused, match="refuses the contract"):
        for _ in range(10):
            await bench.outbox.step()
    assert len(bench.rows(OutboxRow)) == 3


async def test_a_deployment_that_cannot_be_kept_is_not_the_chains_refusal(bench: Bench) -> None:
    def full(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    await bench.record("a", 2)
    event.listen(bench.store.durable_engine, "begin", full)
    for _ in range(10):
        with pytest.raises(ConfigError, match="full"):
            await bench.outbox.step()
    event.remove(bench.store.durable_engine, "begin", full)
    await bench.settle()
    bench.check()
    assert [row.state for row in bench.rows(OutboxRow) if row.call == "deploy"] == ["confirmed"]


async def copy_of(bench: Bench, folder: Path) -> None:
    """Keep a copy of the database, as a backup does."""
    with bench.store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.commit()
        raw.execute(f"VACUUM INTO '{folder / 'backup.db'}'")


def restore(bench: Bench, folder: Path) -> None:
    """Put the copy back."""
    bench.close()
    for path in folder.glob("ledger.db*"):
        path.unlink()
    (folder / "backup.db").rename(folder / "ledger.db")
    bench.reopen()


@pytest.mark.parametrize("mode", MODES)
async def test_an_outbox_from_a_backup_submits_nothing_twice(bench: Bench, tmp_path: Path, mode: str) -> None:
    bench.reopen(mode=mode, batch=2)
    await bench.record("a", 3)
    await bench.settle()
    await bench.record("a", 3)
    await bench.record("b", 2)
    await copy_of(bench, tmp_path)
    await bench.settle()
    restore(bench, tmp_path)
    await bench.record("c")
    if mode == "each":
        await bench.record("a")
    await bench.settle()
    bench.check()
    assert bench.outbox.held == {}


@pytest.mark.parametrize("mode", MODES)
async def test_a_database_older_than_the_chain_holds_those_sessions_only(
    bench: Bench, tmp_path: Path, mode: str
) -> None:
    bench.reopen(mode=mode)
    await bench.record("a", 3)
    await bench.settle()
    bench.reopen(mode="each")
    await bench.record("b", 1)
    await bench.settle()
    await copy_of(bench, tmp_path)
    await bench.record("a", 2)
    await bench.settle()
    events = len(bench.chain.events)
    restore(bench, tmp_path)
    await bench.record("a")
    await bench.record("b")
    await bench.settle()
    (held,) = bench.outbox.held.values()
    line = "the session of the trees" if mode == "merkle" else "session 'a'"
    count = "5 records, the database 4"
    assert f"the database is older than the chain: of {line} the chain has {count}" in held.message
    assert "Put the newer database back" in held.hint
    assert bench.outbox.refused(10)
    assert len(bench.chain.events) == events + 1
    sent = len(bench.chain.sent)
    await bench.record("b")
    await bench.settle()
    assert len(bench.chain.sent) == sent + 1


CAUSES = {
    "NotOwner": {"owner": "0x" + "44" * 20},
    "SessionClosed": {"closed": True},
    "WrongHead": {"head": bytes(31) + b"1"},
}


@pytest.mark.parametrize("cause", [*CAUSES, "WrongSequence"])
@pytest.mark.parametrize("mode", ["each", "merkle"])
async def test_the_cause_of_a_refusal_is_named(bench: Bench, cause: str, mode: str) -> None:
    bench.reopen(mode=mode)
    await bench.record("a", 2)
    await bench.settle()
    bench.reopen(mode="each")
    await bench.record("b")
    await bench.settle()
    key = bench.outbox.contract, TREE_KEY if mode == "merkle" else session_key("a")
    state = bench.chain.states[key]
    changes = CAUSES.get(cause) or {"count": 7}
    bench.chain.states[key] = replace(state, **changes)  # type: ignore[arg-type]
    await bench.record("a", 2)
    await bench.record("b")
    await bench.settle()
    (held,) = bench.outbox.held.values()
    assert held.message.startswith(cause)
    assert held.hint
    errors = {row.error for row in bench.rows(OutboxRow) if row.state == "failed"}
    assert errors == {held.message}
    assert bench.chain.states[bench.outbox.contract, session_key("b")].count == 2
    # Whether it can go on is asked again after a start.
    bench.chain.states[key] = state
    bench.reopen()
    await bench.settle()
    bench.check()


async def test_a_record_that_was_refused_by_accident_is_submitted_again(bench: Bench) -> None:
    await bench.record("a")
    await bench.settle()
    failures = [1]
    bench.chain.refuse = lambda raw: bool(failures and failures.pop())
    await bench.record("a", 3)
    await bench.settle()
    bench.check()
    assert bench.outbox.held == {}
