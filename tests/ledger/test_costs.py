"""Fees that are too low, an account without funds, and a limit on what is spent."""

from __future__ import annotations

import pytest

from llmasos.ledger import ChainError, MemoryChain
from llmasos.ledger._contract import transaction
from llmasos.ledger._spending import Spending, coins
from llmasos.ledger._tables import OutboxRow
from llmasos.ledger.chains.memory import GAS
from tests.ledger.conftest import Bench, Opened

pytestmark = pytest.mark.anyio

DAY = 86_400


async def test_what_is_not_mined_offers_more_and_every_attempt_is_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._offers.STUCK_SECONDS", 0.0)
    await bench.settle()
    bench.chain._automatic = False
    await bench.record("a", 2)
    await bench.outbox.step()
    bench.chain.base_fee = 2
    for _ in range(3):
        bench.chain.mine()
    await bench.outbox.step()
    assert bench.outbox.replaced == 3
    bench.chain.mine()
    await bench.settle()
    bench.check()
    rows = [row for row in bench.rows(OutboxRow) if row.call != "deploy"]
    assert sorted((row.nonce, row.attempt, row.state) for row in rows) == [
        (nonce, attempt, ("replaced", "confirmed")[attempt]) for nonce in (1, 2, 3) for attempt in (0, 1)
    ]
    for nonce in (1, 2, 3):
        first, second = (transaction(row.raw) for row in rows if row.nonce == nonce)
        assert (first.data, first.to) == (second.data, second.to)
        assert second.cap > first.cap


async def test_an_earlier_attempt_that_is_mined_wins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.ledger._offers.STUCK_SECONDS", 0.0)
    await bench.record()
    await bench.settle()
    bench.chain._automatic = False
    await bench.record()
    await bench.outbox.step()
    (place,), (first,) = bench.chain._waiting.keys(), bench.chain._waiting.values()
    bench.chain.base_fee = 2
    for _ in range(3):
        bench.chain.mine()
    await bench.outbox.step()
    bench.chain.base_fee = 1
    assert bench.chain._waiting[place] != first
    bench.chain._waiting[place] = first
    await bench.settle()
    bench.check()
    states = {row.attempt: row.state for row in bench.rows(OutboxRow) if row.nonce == place[1]}
    assert states == {0: "confirmed", 1: "replaced"}


async def test_what_is_dropped_is_sent_again_with_the_same_bytes(bench: Bench) -> None:
    await bench.settle()
    bench.chain._automatic = False
    await bench.record()
    await bench.outbox.step()
    waiting = dict(bench.chain._waiting)
    bench.chain._waiting.clear()
    for _ in range(3):
        bench.chain.mine()
    await bench.outbox.step()
    assert bench.chain._waiting == waiting
    assert bench.outbox.replaced == 0


async def test_a_limit_of_the_fee_is_said_and_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._offers.STUCK_SECONDS", 0.0)
    await bench.settle()
    bench.chain._automatic = False
    await bench.record()
    await bench.outbox.step()

    async def dear(over: object = None) -> object:
        raise ChainError("The chain asks 200 gwei, more than the limit.", hint="Wait, or raise the limit.")

    with monkeypatch.context() as patch:
        patch.setattr(bench.chain, "fees", dear)
        bench.chain.base_fee = 2
        for _ in range(3):
            bench.chain.mine()
        await bench.outbox.step()
        assert bench.outbox.fees_trouble is not None
        assert "200 gwei" in bench.outbox.fees_trouble.message
    await bench.settle()
    bench.check()
    assert bench.outbox.fees_trouble is None


async def test_an_account_without_funds_waits_for_them(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._ledger.FIRST_RETRY_SECONDS", 0.001)
    from llmasos.ledger import Entry

    chain = MemoryChain()
    chain.endowment = 0
    async with opened(chain) as ledger:
        await ledger.record(Entry(session="s", kind="intent"))
        while not (status := await ledger.status()).last_error:
            assert not await ledger.flush(0.05)
        assert status.last_error.startswith(f"The account {chain.account} owns 0 on the chain")
        assert f"Send coins to {chain.account}" in status.hint
        chain.endowment = 10**20
        assert await ledger.flush(10)
        assert (await ledger.status()).last_error == ""


async def test_no_more_is_spent_in_a_day_than_allowed(bench: Bench) -> None:
    now = [1_000_000.0]
    bench.chain.clock = lambda: now[0]
    bench.chain.base_fee = 10**9
    each = GAS * 10**9 / 10**18
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmasos.ledger._spending.time.time", lambda: now[0])
        # The deployment, the opening, and two records.
        bench.reopen(spend_per_day=4 * each)
        await bench.record("a", 7)
        for _ in range(8):
            await bench.outbox.step()
        assert [row.call for row in bench.rows(OutboxRow)] == ["deploy", "open", "append", "append"]
        assert bench.outbox.paused is not None
        assert "above the limit of 0.000084" in bench.outbox.paused.message
        assert "SPEND_PER_DAY" in bench.outbox.paused.hint
        bench.reopen()
        await bench.outbox.step()
        assert len(bench.rows(OutboxRow)) == 4
        now[0] += DAY + 1
        for _ in range(8):
            await bench.outbox.step()
        assert len(bench.rows(OutboxRow)) == 8
        assert bench.outbox.paused is not None
        bench.reopen(spend_per_day=0.0)
        await bench.settle()
        bench.check()


async def test_amounts_are_read_in_coins() -> None:
    assert (coins(0), coins(10**18), coins(84 * 10**12)) == ("0", "1", "0.000084")
    assert Spending(None, None, 0.25).cap == 25 * 10**16  # type: ignore[arg-type]
