"""Ten thousand actions over several starts: all of them on the chain once, in memory that does not grow."""

from __future__ import annotations

import gc
import multiprocessing
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import anyio
import pytest

from llmasos.ledger import ChainLedger, EmbeddedChain, Entry, Verdict
from llmasos.ledger._types import Mode
from llmasos.store import Base, Store

pytestmark = pytest.mark.integration

STRETCHES: tuple[Mode, ...] = ("merkle", "batch", "merkle", "batch")
WRITERS, EACH = 50, 50
# What threads and SQLite keep for the next time; a record kept would also be blocks of Python's.
GROWTH_MIB = 32.0
PATIENCE = 120.0


def resident(pid: int | str) -> float:
    """Return the memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def act(ledger: ChainLedger, name: str) -> None:
    for number in range(EACH // 2):
        for kind in ("intent", "outcome"):
            action = f"{name}-{number}"
            entry = {"session": name, "kind": kind, "action": action, "body": {"text": "x" * 500}}
            await ledger.record(Entry.model_validate(entry))


async def soak(folder: Path) -> tuple[Verdict, list[int], list[float], list[float]]:
    """Run all stretches, and return the verdict; and after each, our blocks and memory, and the node's."""
    blocks, ours, nodes = [], [], []
    for stretch, mode in enumerate(STRETCHES):
        store, chain = Store(f"sqlite:///{folder / 'ledger.db'}"), EmbeddedChain(folder)
        Base.metadata.create_all(store.engine)
        try:
            async with ChainLedger(store, chain, mode=mode, wait=0.1) as ledger:
                async with anyio.create_task_group() as tasks:
                    for writer in range(WRITERS):
                        tasks.start_soon(act, ledger, f"{stretch}-{writer}")
                assert await ledger.flush(PATIENCE)
                verdict = await ledger.verify()
                assert chain.pid is not None
                gc.collect()
                blocks.append(sys.getallocatedblocks())
                ours.append(resident("self"))
                nodes.append(resident(chain.pid))
        finally:
            store.close()
    return verdict, blocks, ours, nodes


def run(folder: Path, tell: Connection) -> None:
    """Soak a ledger in a process of its own, whose memory is nobody else's."""
    tell.send(anyio.run(soak, folder))


def test_ten_thousand_actions_are_kept_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    found, tell = context.Pipe(duplex=False)
    process = context.Process(target=run, args=(tmp_path, tell), daemon=True)
    process.start()
    tell.close()
    verdict, blocks, ours, nodes = found.recv()
    process.join()
    assert process.exitcode == 0
    found.close()
    process.close()
    total = len(STRETCHES) * WRITERS * EACH
    assert verdict.ok, verdict.problems
    assert (verdict.checked, verdict.confirmed, verdict.pending) == (total, total, 0)
    assert verdict.sessions == len(STRETCHES) * WRITERS
    # The first two stretches have loaded what both modes need.
    assert blocks[-1] - blocks[1] < WRITERS * EACH, blocks
    assert ours[-1] - ours[1] < GROWTH_MIB, ours
    assert nodes[-1] - nodes[1] < GROWTH_MIB, nodes
