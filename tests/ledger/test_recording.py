"""Recording: on the disk before anything runs, without gaps, and refused when that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import event

from llmasos.errors import LedgerError
from llmasos.ledger import Entry, MemoryChain
from llmasos.ledger._digest import FIRST_HEAD, body_digest, next_head, record_digest, session_key
from llmasos.ledger._recorder import Recorder
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import kind_number
from llmasos.store import Base
from tests.ledger.conftest import Bench, Opened

pytestmark = pytest.mark.anyio


async def test_a_record_holds_its_body_and_its_place(bench: Bench) -> None:
    for number in range(3):
        body = {"n": number, "text": "今天"}
        await bench.recorder.write(Entry(session="s", kind="outcome", action="a", tool="t", body=body))
    head = FIRST_HEAD
    for number, row in enumerate(bench.rows(RecordRow), 1):
        assert (row.number, row.seq, row.route) == (number, number, "session")
        assert row.body_digest == body_digest(row.body, row.body_salt).hex()
        names = ("number", "session", "seq", "kind", "action", "tool", "at", "body_digest", "salt")
        digest = record_digest(**{name: getattr(row, name) for name in names})
        head = next_head(session_key("s"), number, head, digest, kind_number("outcome"))
        assert (row.digest, row.head) == (digest.hex(), head.hex())


async def test_numbers_have_no_gaps_however_many_tasks_write(bench: Bench) -> None:
    async def work(name: str) -> None:
        for _ in range(20):
            await bench.record(name)

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(work, f"s{number % 5}")
    rows = bench.rows(RecordRow)
    assert [row.number for row in rows] == list(range(1, 161))
    for name in {row.session for row in rows}:
        assert [row.seq for row in rows if row.session == name] == list(
            range(1, 1 + sum(r.session == name for r in rows))
        )


async def test_a_session_keeps_its_way_when_the_mode_changes(bench: Bench) -> None:
    await bench.record("old")
    bench.reopen(mode="merkle")
    await bench.record("old")
    await bench.record("new")
    bench.reopen(mode="each")
    await bench.record("new")
    assert [(row.session, row.route) for row in bench.rows(RecordRow)] == [
        ("old", "session"),
        ("old", "session"),
        ("new", "tree"),
        ("new", "tree"),
    ]
    await bench.settle()
    bench.check()


async def test_one_who_gives_up_waiting_leaves_no_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go = anyio.Event(), anyio.Event()
    real = anyio.to_thread.run_sync

    async def held(*args: Any, **options: Any) -> Any:
        writing.set()
        await go.wait()
        return await real(*args, **options)

    monkeypatch.setattr("llmasos.ledger._recorder.anyio.to_thread.run_sync", held)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.record, "first")
        await writing.wait()
        with anyio.move_on_after(0) as scope:
            await bench.record("second")
        assert scope.cancelled_caught
        go.set()
    assert [row.session for row in bench.rows(RecordRow)] == ["first"]


async def test_a_body_without_canonical_form_is_refused(bench: Bench) -> None:
    with pytest.raises(LedgerError, match="cannot be recorded"):
        await bench.recorder.write(Entry(session="s", kind="intent", body={"raw": b"bytes"}))
    assert bench.rows(RecordRow) == []


async def refused(bench: Bench, match: str, *, body: str = "") -> None:
    with pytest.raises(
        LedgerError, match=f"cannot be written, so the action does not run.*{match}"
    ) as caught:
        for _ in range(200):
            await bench.recorder.write(Entry(session="s", kind="intent", body={"text": body}))
    assert caught.value.hint


async def test_recording_fails_closed_when_the_disk_is_full(bench: Bench) -> None:
    await bench.record()
    bench.reopen()

    @event.listens_for(bench.store.durable_engine, "checkout")
    def _full(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA max_page_count=1").close()

    await refused(bench, "full", body="x" * 5000)
    event.remove(bench.store.durable_engine, "checkout", _full)
    bench.store.durable_engine.dispose()
    await bench.record()
    rows = bench.rows(RecordRow)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))


async def test_recording_fails_closed_when_the_tables_are_gone(bench: Bench) -> None:
    await bench.record()
    Base.metadata.drop_all(bench.store.engine)
    await refused(bench, "no such table")
    Base.metadata.create_all(bench.store.engine)
    await bench.record()
    assert len(bench.rows(RecordRow)) == 1


async def test_recording_fails_closed_when_the_database_cannot_be_written(bench: Bench) -> None:
    await bench.record()
    bench.reopen()

    @event.listens_for(bench.store.durable_engine, "checkout")
    def _read_only(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA query_only=ON").close()

    await refused(bench, "readonly|read-only")
    assert len(bench.rows(RecordRow)) == 1


async def test_recording_fails_closed_when_the_database_is_locked(bench: Bench) -> None:
    await bench.record()
    bench.reopen()

    @event.listens_for(bench.store.durable_engine, "checkout")
    def _impatient(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA busy_timeout=1").close()

    with bench.store.engine.begin():
        await refused(bench, "locked")
    await bench.record()
    assert len(bench.rows(RecordRow)) == 2


async def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path, bench: Bench) -> None:
    from llmasos.store import Store

    recorder = Recorder(Store(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.db'}"), "session")
    with pytest.raises(LedgerError, match="cannot be written"):
        await recorder.write(Entry(session="s", kind="intent"))


async def test_too_many_records_that_wait_refuse_intents_and_nothing_else(opened: Opened) -> None:
    chain = MemoryChain()
    chain.away = True
    async with opened(chain, backlog=3) as ledger:
        for _ in range(3):
            await ledger.record(Entry(session="s", kind="intent"))
        while not (await ledger.status()).last_error:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(
            LedgerError, match="3 records wait for the chain, so the action does not run: The chain is away"
        ) as caught:
            await ledger.record(Entry(session="s", kind="intent"))
        assert "BACKLOG" in caught.value.hint
        await ledger.record(Entry(session="s", kind="outcome"))
        await ledger.record(Entry(session="s", kind="cancel"))
        chain.away = False
        assert await ledger.flush(10)
        await ledger.record(Entry(session="s", kind="intent"))
    chain.away = True
    async with opened(chain, backlog=3) as ledger:
        await ledger.record(Entry(session="s", kind="intent"))
