"""The ledger in memory."""

from __future__ import annotations

import pytest

from llmasos.errors import LedgerError
from llmasos.ledger import Entry, Ledger, MemoryLedger

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
    assert [record.seq for record in await ledger.records("a", limit=1)] == [2]
    verdict = await ledger.verify()
    assert (verdict.ok, verdict.confirmed, verdict.sessions) == (True, 3, 2)
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
