"""The ledger on a chain in memory: recording, recovering, and finding what was tampered with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import event, text

from llmasos.errors import LedgerError
from llmasos.ledger import ChainError, ChainLedger, Entry, MemoryChain, Verdict, _ledger
from llmasos.ledger._records import seal
from llmasos.ledger._tables import RecordRow
from llmasos.store import Base, Store

pytestmark = pytest.mark.anyio

RECORDS = [("one", "intent"), ("one", "outcome"), ("two", "intent"), ("one", "commit"), ("two", "outcome")]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "VERIFY_WAIT_SECONDS", 1.0)
    monkeypatch.setattr(_ledger, "FIRST_RETRY_SECONDS", 0.001)


@asynccontextmanager
async def opened(
    folder: Path, chain: MemoryChain, *, filled: bool = True
) -> AsyncIterator[tuple[ChainLedger, Store]]:
    store = Store(f"sqlite:///{folder / 'ledger.db'}")
    Base.metadata.create_all(store.engine)
    try:
        async with ChainLedger(store, chain) as ledger:
            if filled:
                for number, (session, kind) in enumerate(RECORDS):
                    entry = Entry.model_validate(
                        {
                            "session": session,
                            "kind": kind,
                            "action": f"a{number}",
                            "tool": "t",
                            "body": {"n": number},
                        }
                    )
                    await ledger.record(entry)
                assert await ledger.flush(10)
            yield ledger, store
    finally:
        store.close()


async def tampered(folder: Path, *statements: str, chain: MemoryChain | None = None) -> Verdict:
    async with opened(folder, chain or MemoryChain()) as (ledger, store):
        await store.run(lambda session: [session.execute(text(statement)) for statement in statements])
        return await ledger.verify()


async def test_records_are_confirmed_and_verified(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain()) as (ledger, _):
        steps: list[tuple[int, int]] = []
        verdict = await ledger.verify(lambda done, total: steps.append((done, total)))
        assert (verdict.ok, verdict.checked, verdict.confirmed, verdict.pending, verdict.sessions) == (
            True,
            5,
            5,
            0,
            2,
        )
        assert steps[-1] == (5, 5)
        records = await ledger.records("one")
        assert [(record.seq, record.kind, record.state) for record in records] == [
            (1, "intent", "confirmed"),
            (2, "outcome", "confirmed"),
            (3, "commit", "confirmed"),
        ]
        assert [record.seq for record in await ledger.records("one", limit=2)] == [2, 3]
        assert [record.session for record in await ledger.records(action="a2")] == ["two"]
        status = await ledger.status()
        assert (status.records, status.confirmed, status.pending, status.last_error) == (5, 5, 0, "")


async def test_verifying_while_records_are_made_raises_no_false_alarm(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain()) as (ledger, _), anyio.create_task_group() as tasks:

        async def work(session: str) -> None:
            for _ in range(40):
                await ledger.record(Entry(session=session, kind="intent"))

        tasks.start_soon(work, "one")
        tasks.start_soon(work, "new")
        for _ in range(8):
            verdict = await ledger.verify()
            assert verdict.ok, verdict.problems


async def test_an_error_of_the_caller_is_not_wrapped(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="mine"):
        async with opened(tmp_path, MemoryChain(), filled=False):
            raise LedgerError("mine")


async def test_an_empty_ledger_is_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain(), filled=False) as (ledger, _):
        verdict = await ledger.verify()
        assert verdict.ok, verdict.problems


async def test_recording_does_not_wait_for_a_chain_that_is_away(tmp_path: Path) -> None:
    chain = MemoryChain()
    chain.away = True
    async with opened(tmp_path, chain, filled=False) as (ledger, _):
        record = await ledger.record(Entry(session="s", kind="intent"))
        assert (record.seq, record.state, record.tx_hash) == (1, "pending", None)
        assert not await ledger.flush(0.05)
        status = await ledger.status()
        assert (status.pending, status.head_block) == (1, None)
        assert "away" in status.last_error
        verdict = await ledger.verify()
        assert not verdict.ok
        assert "could not be asked" in verdict.problems[0]
        chain.away = False
        assert await ledger.flush(10)
        assert (await ledger.verify()).ok


async def test_a_wiped_chain_gets_the_same_bytes_again(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with opened(tmp_path, chain) as (_, _store):
        pass
    first, chain.sent = chain.sent, []
    chain.wipe()
    async with opened(tmp_path, chain, filled=False) as (ledger, _):
        assert await ledger.flush(10)
        assert (await ledger.verify()).ok
        assert (await ledger.status()).resent == len(first)
    assert chain.sent == first


async def test_a_chain_that_lost_its_newest_blocks_gets_only_those_again(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with opened(tmp_path, chain):
        pass
    sent, chain.sent = chain.sent, []
    chain.wipe()
    for raw in sent[:4]:
        await chain.send(raw)
    chain.sent = []
    async with opened(tmp_path, chain, filled=False) as (ledger, _):
        assert await ledger.flush(10)
        assert (await ledger.verify()).ok
    assert chain.sent == sent[4:]


async def test_a_new_account_deploys_again_and_resubmits_everything(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain()):
        pass
    async with opened(tmp_path, MemoryChain("0x" + "22" * 20), filled=False) as (ledger, _):
        assert await ledger.flush(10)
        verdict = await ledger.verify()
        assert verdict.ok, verdict.problems
        assert verdict.confirmed == 5


async def test_transactions_whose_nonce_was_taken_are_signed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = MemoryChain()
    async with opened(tmp_path, chain):
        pass
    with monkeypatch.context() as patch:

        async def lost(raw: bytes) -> None:
            raise ChainError("lost on the way")

        patch.setattr(chain, "send", lost)
        async with opened(tmp_path, chain, filled=False) as (ledger, _):
            await ledger.record(Entry(session="late", kind="intent"))
            assert not await ledger.flush(0.2)
            assert (await ledger.records("late"))[0].tx_hash is not None
    # The nonce that the outbox has given away goes to a transaction that it does not know.
    await chain.send(chain.sign(await chain.nonce(), "0x" + "33" * 20, bytes(164)).raw)
    async with opened(tmp_path, chain, filled=False) as (ledger, _):
        assert await ledger.flush(10)
        verdict = await ledger.verify()
    assert verdict.ok, verdict.problems
    assert verdict.confirmed == 6


RECORD_CHANGES: dict[str, Any] = {
    "number": ("number = 9", "was altered"),
    "session": ("session = 'three'", "three"),
    "seq": ("seq = 7", "7"),
    "kind": ("kind = 'cancel'", "recorded with the kind outcome"),
    "action": ("action = 'other'", "was altered"),
    "tool": ("tool = 'other'", "was altered"),
    "at": ("at = '2020-01-01T00:00:00.000000+00:00'", "was altered"),
    "body": ("body = '{}'", "was altered: its body"),
    "salt": ("salt = zeroblob(16)", "was altered"),
    "digest": ("digest = '" + "0" * 64 + "'", "altered digest"),
    "head": ("head = '" + "0" * 64 + "'", "altered link"),
}


@pytest.mark.parametrize("column", [column.name for column in Base.metadata.tables["ledger_records"].columns])
async def test_a_change_in_any_column_of_a_record_is_found(tmp_path: Path, column: str) -> None:
    change, said = RECORD_CHANGES[column]
    verdict = await tampered(
        tmp_path, f"UPDATE ledger_records SET {change} WHERE session = 'one' AND seq = 2"
    )
    assert not verdict.ok
    assert any(said in problem for problem in verdict.problems), verdict.problems
    if column not in ("number", "session", "seq"):
        assert verdict.problems[0].startswith("Record 2 of session 'one'"), verdict.problems
        assert len(verdict.problems) == 1


OUTBOX_CHANGES: dict[str, str] = {
    "account": "account = '0x" + "99" * 20 + "'",
    "chain_id": "chain_id = 1",
    "nonce": "nonce = 99",
    "contract": "contract = '0x" + "99" * 20 + "'",
    "call": "call = 'deploy'",
    "number": "number = 4",
    "raw": "raw = CAST(raw || x'00' AS BLOB)",
    "tx_hash": "tx_hash = '0x" + "00" * 32 + "'",
    "state": "state = 'pending'",
    "error": "error = 'why'",
}


@pytest.mark.parametrize("call", ["deploy", "open", "append"])
@pytest.mark.parametrize("column", [column.name for column in Base.metadata.tables["ledger_outbox"].columns])
async def test_a_change_in_any_column_of_a_transaction_is_found(
    tmp_path: Path, column: str, call: str
) -> None:
    number = 0 if call == "deploy" else 1
    change = OUTBOX_CHANGES[column]
    if column == "call" and call == "deploy":
        change = "call = 'open'"
    where = f"call = '{call}' AND number = {number}"
    verdict = await tampered(tmp_path, f"UPDATE ledger_outbox SET {change} WHERE {where}")
    assert not verdict.ok


async def test_a_removed_record_is_named(tmp_path: Path) -> None:
    verdict = await tampered(tmp_path, "DELETE FROM ledger_records WHERE session = 'one' AND seq = 2")
    assert (
        "Record 2 of session 'one' (outcome) is missing from the database; the chain has it."
        in verdict.problems
    )


async def test_a_cut_off_tail_is_found(tmp_path: Path) -> None:
    verdict = await tampered(
        tmp_path, "DELETE FROM ledger_records WHERE number = 5", "DELETE FROM ledger_outbox WHERE number = 5"
    )
    assert verdict.problems == (
        "Record 2 of session 'two' (outcome) is missing from the database; the chain has it.",
    )


async def test_a_removed_session_is_found(tmp_path: Path) -> None:
    verdict = await tampered(tmp_path, "DELETE FROM ledger_records WHERE session = 'two'")
    assert any("2 records of a session that is missing" in problem for problem in verdict.problems)


async def test_exchanged_records_are_found(tmp_path: Path) -> None:
    move = "UPDATE ledger_records SET seq = {} WHERE session = 'one' AND seq = {}"
    verdict = await tampered(tmp_path, move.format(9, 1), move.format(1, 2), move.format(2, 9))
    assert any("was moved: the chain has it as record" in problem for problem in verdict.problems)


async def test_a_rewritten_record_is_found(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain()) as (ledger, store):

        def rewrite(session: Any) -> None:
            row = session.get(RecordRow, 5)
            before = session.get(RecordRow, 3)
            entry = Entry(session="two", kind="outcome", action="a4", tool="t")
            new = seal(entry, '{"n":0}', number=5, seq=2, head=bytes.fromhex(before.head))
            row.body, row.salt, row.at, row.digest, row.head = (
                new.body,
                new.salt,
                new.at,
                new.digest,
                new.head,
            )

        await store.run(rewrite)
        verdict = await ledger.verify()
    assert verdict.problems == (
        "Record 2 of session 'two' (outcome of action 'a4') was rewritten with a new digest: "
        "the chain holds another one.",
    )


async def test_a_record_that_never_reached_the_chain_is_named(tmp_path: Path) -> None:
    verdict = await tampered(tmp_path, "DELETE FROM ledger_outbox WHERE call = 'append' AND number = 4")
    assert "transaction is missing from the outbox" in verdict.problems[0]


async def test_events_that_are_hidden_are_found(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with opened(tmp_path, chain) as (ledger, _):
        del chain.events[1]
        verdict = await ledger.verify()
    assert "marked as confirmed, but the chain does not have it" in verdict.problems[0]
    assert any("do not give its head" in problem for problem in verdict.problems)


async def test_forged_events_are_found(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with opened(tmp_path, chain) as (ledger, _):
        block, contract, last = chain.events[-1]
        chain.events[-1] = (block, contract, replace(last, digest=bytes(32)))
        verdict = await ledger.verify()
    assert "rewritten" in verdict.problems[0]


async def test_a_refused_append_is_reported_and_does_not_stop_the_others(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with opened(tmp_path, chain) as (ledger, store):
        statements = [text(f"DELETE FROM ledger_{table} WHERE number = 5") for table in ("records", "outbox")]
        await store.run(lambda session: [session.execute(statement) for statement in statements])
    async with opened(tmp_path, chain, filled=False) as (ledger, _):
        await ledger.record(Entry(session="two", kind="outcome"))
        await ledger.record(Entry(session="three", kind="intent"))
        assert not await ledger.flush(10)
        status = await ledger.status()
        assert (status.confirmed, status.last_error[:23]) == (5, "The contract refused 1 ")
        verdict = await ledger.verify()
    assert not verdict.ok


async def test_recording_fails_closed_when_the_disk_is_full(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain(), filled=False) as (ledger, store):
        store.durable_engine.dispose()

        @event.listens_for(store.durable_engine, "connect")
        def _full(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA max_page_count=1").close()

        with pytest.raises(LedgerError, match=r"action does not run.*full"):
            for _ in range(100):
                await ledger.record(Entry(session="s", kind="intent", body={"text": "x" * 5000}))


async def test_recording_fails_closed_when_the_database_is_gone(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain(), filled=False) as (ledger, store):
        assert await ledger.flush(10)
        Base.metadata.drop_all(store.engine)
        with pytest.raises(LedgerError, match="action does not run"):
            await ledger.record(Entry(session="s", kind="intent"))


async def test_a_body_without_canonical_form_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryChain(), filled=False) as (ledger, _):
        with pytest.raises(LedgerError, match="cannot be recorded"):
            await ledger.record(Entry(session="s", kind="intent", body={"raw": b"bytes"}))
        assert await ledger.records() == []
