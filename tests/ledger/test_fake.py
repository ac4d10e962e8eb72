"""The ledger in memory."""

from __future__ import annotations

import anyio
import pytest

from llmasos.errors import LedgerError
from llmasos.ledger import Entry, Filter, Ledger, MemoryLedger

pytestmark = pytest.mark.anyio


async def test_it_counts_per_session_and_verifies() -> None:
    ledger: Ledger = MemoryLedger()
    for session in ("a", "b", "a"):
        await ledger.record(Entry(session=session, kind="intent", body={"x": 1}))
    assert [(record.session, record.seq) for record in await ledger.records()] == [
        ("a", 1),
        ("b", 1),
        ("a", 2),
    ]
    assert [record.seq for record in await ledger.records(Filter(session="a"), limit=1)] == [2]
    assert [record.number for record in await ledger.records(Filter(after=1), limit=1)] == [2]
    verdict = await ledger.verify()
    assert (verdict.ok, verdict.confirmed, verdict.sessions, verdict.unanchored) == (True, 3, 2, 1)
    assert await ledger.flush(0)


async def test_it_finds_a_changed_body() -> None:
    ledger = MemoryLedger()
    await ledger.record(Entry(session="a", kind="intent", body={"x": 1}))
    ledger._rows[0].body = '{"x":2}'
    assert (await ledger.verify()).problems == ("Record 1 of session 'a' (intent) was altered.",)


async def test_it_can_refuse() -> None:
    ledger = MemoryLedger(refuse=LedgerError("The disk is full."))
    with pytest.raises(LedgerError, match="full"):
        await ledger.record(Entry(session="a", kind="intent"))
    assert ledger.entries == []


async def test_an_erased_body_is_gone_and_its_record_stays() -> None:
    ledger = MemoryLedger(targets=["file:x"])
    for kind in ("intent", "outcome"):
        await ledger.record(Entry(session="a", kind=kind, action="a-1", body={"x": 1}))
    assert await ledger.erase(Filter(action="a-1"), "asked for", "ada") == 2
    assert await ledger.recorded(["a-1"]) == {("a-1", "intent"): None, ("a-1", "outcome"): None}
    assert [record.erased for record in await ledger.records(bodies=True)] == [True, True, False]
    assert (await ledger.anchor())[0].last == 3
    verdict = await ledger.verify()
    assert (verdict.ok, verdict.erased, verdict.unanchored) == (True, 2, None)


async def test_waiting_ends_with_the_next_record() -> None:
    ledger = MemoryLedger()
    await ledger.record(Entry(session="a", kind="intent"))
    await ledger.wait(0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.wait, 1)
        await anyio.wait_all_tasks_blocked()
        await ledger.record(Entry(session="a", kind="outcome"))
