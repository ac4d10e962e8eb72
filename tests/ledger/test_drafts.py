"""Drafting: which records go together, and for how long they wait for more."""

from __future__ import annotations

import pytest

from llmasos.ledger._drafts import Drafter
from llmasos.ledger._tables import OutboxRow
from tests.ledger.conftest import Bench

pytestmark = pytest.mark.anyio


def calls(bench: Bench) -> list[tuple[str, int, int]]:
    rows = sorted(bench.rows(OutboxRow), key=lambda row: row.nonce)
    return [(row.call, row.number, row.count) for row in rows[1:]]


async def test_each_record_has_its_own_transaction(bench: Bench) -> None:
    await bench.record("a", 2)
    await bench.record("b")
    await bench.settle()
    bench.check()
    assert calls(bench) == [
        ("open", 1, 0),
        ("append", 1, 1),
        ("append", 2, 1),
        ("open", 3, 0),
        ("append", 3, 1),
    ]


async def test_a_batch_holds_consecutive_records_of_a_session(bench: Bench) -> None:
    bench.reopen(mode="batch", batch=3)
    for _ in range(4):
        await bench.record("a")
        await bench.record("b")
    await bench.record("c")
    await bench.settle()
    bench.check()
    assert calls(bench) == [
        ("open", 1, 0),
        ("many", 1, 3),
        ("append", 7, 1),
        ("open", 2, 0),
        ("many", 2, 3),
        ("append", 8, 1),
        ("open", 9, 0),
        ("append", 9, 1),
    ]


async def test_a_tree_holds_records_of_all_sessions(bench: Bench) -> None:
    bench.reopen(mode="merkle", batch=4)
    for name in ("a", "b", "a", "c", "b", "a"):
        await bench.record(name)
    await bench.settle()
    await bench.record("a")
    await bench.settle()
    bench.check()
    assert calls(bench) == [("open", 1, 0), ("anchor", 1, 4), ("anchor", 5, 2), ("anchor", 7, 1)]


async def test_both_ways_go_on_side_by_side(bench: Bench) -> None:
    bench.reopen(mode="batch", batch=2)
    await bench.record("old")
    await bench.settle()
    bench.reopen(mode="merkle", batch=0)
    await bench.record("new", 2)
    await bench.record("old", 3)
    await bench.record("new")
    await bench.settle()
    bench.check()
    assert calls(bench)[2:] == [("many", 4, 3), ("open", 2, 0), ("anchor", 2, 3)]


@pytest.mark.parametrize("mode", ["batch", "merkle"])
async def test_what_is_not_full_waits_until_it_is_or_time_is_up(bench: Bench, mode: str) -> None:
    bench.reopen(mode=mode)
    drafter = Drafter(mode, batch=3, wait=5.0)  # type: ignore[arg-type]

    def drafted(now: float, hurry: int = 0) -> list[tuple[str, int, int]]:
        plan = bench.store.run_sync(lambda work: drafter.plan(work, 10, (), now, hurry))
        drafter.accept(plan)
        return [(draft.call, draft.number, draft.count) for draft in plan.drafts if draft.count]

    several = "many" if mode == "batch" else "anchor"
    one = "append" if mode == "batch" else "anchor"
    assert drafter.due(0.0) is None
    await bench.record()
    assert drafted(10.0) == []
    assert drafter.due(11.0) == 4.0
    await bench.record(count=2)
    assert drafted(11.0) == [(several, 1, 3)]
    assert drafter.due(11.0) is None
    await bench.record()
    assert drafted(20.0) == []
    assert drafted(24.9) == []
    assert drafted(25.0) == [(one, 4, 1)]
    await bench.record()
    assert drafted(30.0, hurry=5) == [(one, 5, 1)]
    assert drafter.reached == 5


async def test_where_drafting_stands_is_read_again(bench: Bench) -> None:
    bench.reopen(mode="batch", batch=2)
    await bench.record("a", 5)
    await bench.settle()
    bench.reopen(mode="merkle", batch=2)
    await bench.record("b", 3)
    await bench.settle()
    before = bench.outbox.drafter
    bench.reopen()
    await bench.outbox.step()
    after = bench.outbox.drafter
    for name in ("signed", "mark", "tree_mark", "leaves", "tree_head"):
        assert getattr(after, name) == getattr(before, name), name
