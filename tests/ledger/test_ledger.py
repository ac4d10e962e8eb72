"""The ledger as its callers see it."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from llmasos.errors import LedgerError
from llmasos.ledger import ChainLedger, Entry, MemoryChain
from llmasos.ledger._types import Filter
from tests.ledger.conftest import Opened

pytestmark = pytest.mark.anyio

MODES = ("each", "batch", "merkle")
RECORDS = [("one", "intent"), ("one", "outcome"), ("two", "intent"), ("one", "commit"), ("two", "cancel")]


async def fill(ledger: ChainLedger) -> None:
    for number, (session, kind) in enumerate(RECORDS):
        entry = {"session": session, "kind": kind, "action": f"a{number // 2}", "tool": f"t{number % 2}"}
        await ledger.record(Entry.model_validate({**entry, "body": {"n": number}}))


@pytest.mark.parametrize("mode", MODES)
async def test_records_are_confirmed(opened: Opened, mode: str) -> None:
    async with opened(MemoryChain(), mode=mode, batch=2, wait=60) as ledger:
        await fill(ledger)
        assert await ledger.flush(10)
        records = await ledger.records()
        assert [(record.number, record.state) for record in records] == [
            (n, "confirmed") for n in range(1, 6)
        ]
        assert all(record.block and record.tx_hash for record in records)
        status = await ledger.status()
        assert (status.records, status.confirmed, status.pending, status.failed) == (5, 5, 0, 0)
        assert (status.last_error, status.hint, status.mode) == ("", "", mode)
        assert status.account == "0x" + "11" * 20
        assert status.spent > 0
        assert status.contract


async def test_records_are_found_by_what_they_are(opened: Opened) -> None:
    async with opened(MemoryChain()) as ledger:
        await fill(ledger)
        times = [record.at for record in await ledger.records()]

        async def numbers(limit: int = 1000, **which: object) -> list[int]:
            return [record.number for record in await ledger.records(Filter(**which), limit)]  # type: ignore[arg-type]

        assert await numbers(session="one") == [1, 2, 4]
        assert await numbers(2, session="one") == [2, 4]
        assert await numbers(2, after=2) == [3, 4]
        assert await numbers(action="a1") == [3, 4]
        assert await numbers(kinds=("intent", "commit")) == [1, 3, 4]
        assert await numbers(tool="t1") == [2, 4]
        assert await numbers(since=times[3]) == [4, 5]
        assert await numbers(until=times[3]) == [1, 2, 3]
        assert [record.body for record in await ledger.records(limit=1)] == [None]
        assert [record.body for record in await ledger.records(limit=1, bodies=True)] == [{"n": 4}]


async def test_what_was_recorded_of_actions(opened: Opened) -> None:
    async with opened(MemoryChain()) as ledger:
        await fill(ledger)
        await ledger._store.run(
            lambda work: work.connection().exec_driver_sql(
                "UPDATE ledger_records SET body = NULL WHERE number = 1"
            )
        )
        assert await ledger.recorded(["a0", "a1", "a2", "", "unknown"]) == {
            ("a0", "intent"): None,
            ("a0", "outcome"): {"n": 1},
            ("a1", "intent"): {"n": 2},
            ("a2", "outcome"): {"n": 4},
        }
        (first, *_) = await ledger.records()
        assert (first.erased, first.body) == (True, None)


async def test_one_can_wait_for_a_record(opened: Opened) -> None:
    async with opened(MemoryChain()) as ledger:
        await ledger.record(Entry(session="s", kind="intent"))
        await ledger.wait(0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.wait, 1)
            await ledger.record(Entry(session="s", kind="intent"))


async def test_what_is_known_is_shown_before_the_chain_is_reached(opened: Opened) -> None:
    chain = MemoryChain()
    async with opened(chain) as ledger:
        await ledger.record(Entry(session="s", kind="intent"))
        assert await ledger.flush(10)
        contract = (await ledger.status()).contract
    chain.away = True
    async with opened(chain) as ledger:
        (record,) = await ledger.records()
        status = await ledger.status()
    assert (record.state, status.contract, status.confirmed) == ("confirmed", contract, 1)


async def test_recording_does_not_wait_for_a_chain_that_is_away(opened: Opened) -> None:
    chain = MemoryChain()
    chain.away = True
    async with opened(chain) as ledger:
        record = await ledger.record(Entry(session="s", kind="intent"))
        assert (record.seq, record.state, record.tx_hash) == (1, "pending", None)
        assert not await ledger.flush(0)
        status = await ledger.status()
        assert (status.pending, status.head_block) == (1, None)
        assert "away" in status.last_error
        chain.away = False
        assert await ledger.flush(10)
        assert (await ledger.status()).last_error == ""


async def test_an_error_of_the_caller_is_not_wrapped(opened: Opened) -> None:
    with pytest.raises(LedgerError, match="mine"):
        async with opened(MemoryChain()):
            raise LedgerError("mine")


async def test_records_of_lines_that_cannot_go_on_are_said_to_be_held(opened: Opened) -> None:
    chain = MemoryChain()
    async with opened(chain) as ledger:
        await fill(ledger)
        assert await ledger.flush(10)
        chain.refuse = lambda raw: True
        await ledger.record(Entry(session="one", kind="intent"))
        assert not await ledger.flush(10)
        chain.refuse = lambda raw: False
        await ledger.record(Entry(session="two", kind="intent"))
        assert not await ledger.flush(10)
        status = await ledger.status()
        assert (status.confirmed, status.failed) == (6, 1)
        assert status.last_error == "The contract refused a record of session 'one' twice."
        assert status.hint
        assert [record.state for record in await ledger.records()] == ["confirmed"] * 5 + [
            "failed",
            "confirmed",
        ]


async def test_a_key_can_be_changed(opened: Opened) -> None:
    chain = MemoryChain()
    async with opened(chain) as ledger:
        await fill(ledger)
        new = await ledger.rotate()
        assert await ledger.flush(10)
        status = await ledger.status()
        assert (status.account, status.confirmed, status.records) == (new, 6, 6)
        (record,) = await ledger.records(Filter(session="ledger"), bodies=True)
        assert record.body == {"from": "0x" + "11" * 20, "to": new}


async def test_a_key_that_is_none_is_refused(opened: Opened) -> None:
    async with opened(MemoryChain()) as ledger:
        with pytest.raises(LedgerError, match="cannot take over") as caught:
            await ledger.rotate("secret")
        assert "secret" not in str(caught.value)


async def test_records_that_follow_at_once_are_sent_together_and_nobody_who_waits_is_kept(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._ledger.GATHER_SECONDS", 3600)
    chain = MemoryChain()
    send, sent = chain.send, list[int]()

    async def watched(transactions: Sequence[bytes]) -> None:
        sent.append(len(transactions))
        await send(transactions)

    monkeypatch.setattr(chain, "send", watched)
    async with opened(chain) as ledger:
        await ledger.record(Entry(session="s", kind="model"))
        assert await ledger.flush(60)
        sent.clear()
        for _ in range(5):
            await ledger.record(Entry(session="s", kind="model"))
        assert await ledger.flush(60)
        assert sent == [5]
