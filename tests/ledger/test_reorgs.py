"""Chains that lose blocks, all of them, or are other chains than they should be."""

from __future__ import annotations

import pytest

from llmasos.ledger import ChainRefused, MemoryChain
from llmasos.ledger._reorg import common_ancestor
from llmasos.ledger._tables import OutboxRow
from tests.ledger.conftest import Bench

pytestmark = pytest.mark.anyio


async def blocks(bench: Bench, count: int) -> None:
    """Make records, each in a block of its own."""
    for number in range(count):
        await bench.record(f"s{number % 3}")
        await bench.settle()


@pytest.mark.parametrize("depth", [*range(1, 11), 15])
async def test_what_a_fork_lost_is_sent_again_with_the_same_bytes(bench: Bench, depth: int) -> None:
    await blocks(bench, 12)
    sent, bench.chain.sent = bench.chain.sent, []
    mined = sum(len(block) for block in bench.chain._mined)
    bench.chain.reorganise(depth)
    kept = sum(len(block) for block in bench.chain._mined)
    await bench.settle()
    bench.check()
    assert bench.chain.sent == sent[kept:]
    assert bench.outbox.resent == mined - kept > 0


async def test_a_fork_that_kept_the_transactions_in_other_blocks_needs_nothing(bench: Bench) -> None:
    await blocks(bench, 4)
    bench.chain.reorganise(3, keep=True)
    bench.chain.mine()
    bench.chain.sent = []
    await bench.settle()
    bench.check()
    assert bench.chain.sent == []
    assert bench.outbox.resent == 0
    for row in bench.rows(OutboxRow):
        block = await bench.chain.block(row.block)
        assert block is not None
        assert row.block_hash == block.hash


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_wiped_chain_gets_everything_again(bench: Bench, restarted: bool) -> None:
    await blocks(bench, 5)
    contract = bench.outbox.contract
    sent, bench.chain.sent = bench.chain.sent, []
    bench.chain.wipe()
    if restarted:
        bench.reopen()
    await bench.settle()
    bench.check()
    assert bench.chain.sent == sent
    assert (bench.outbox.contract, bench.outbox.resent) == (contract, len(sent))


async def test_more_than_a_window_is_sent_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.ledger._outbox.WINDOW", 4)
    await bench.record("a", 20)
    await bench.settle()
    bench.chain.wipe()
    bench.chain._automatic = False
    await bench.settle(200)
    bench.check()


async def test_another_chain_with_the_same_id_is_refused(bench: Bench) -> None:
    await blocks(bench, 2)
    rows = len(bench.rows(OutboxRow))
    bench.chain.wipe()
    await bench.chain.send(
        [bench.chain.sign(n, "0x" + "33" * 20, b"", await bench.chain.fees()).raw for n in range(9)]
    )
    await bench.record()
    with pytest.raises(ChainRefused, match="lacks their contract") as caught:
        await bench.outbox.step()
    assert "sent again" in caught.value.hint
    assert len(bench.rows(OutboxRow)) == rows
    assert {row.state for row in bench.rows(OutboxRow)} == {"confirmed"}


async def test_another_key_begins_anew_with_all_records(bench: Bench) -> None:
    await blocks(bench, 3)
    bench.chain = MemoryChain("0x" + "22" * 20)
    bench.reopen()
    await bench.settle()
    bench.check()


async def test_the_common_ancestor_is_found_with_few_questions() -> None:
    chain = MemoryChain()
    for _ in range(1000):
        chain.mine()
    seen = [(number, found.hash) for number in range(1, 1001) if (found := await chain.block(number))]
    asked: list[int | None] = []
    real = chain.block

    async def block(number: int | None = None) -> object:
        asked.append(number)
        return await real(number)

    chain.block = block  # type: ignore[method-assign, assignment]
    assert await common_ancestor(chain, seen) == 1000
    chain.reorganise(123)
    assert await common_ancestor(chain, seen) == 877
    assert len(asked) <= 22
    chain.wipe()
    assert await common_ancestor(chain, seen) == 0
