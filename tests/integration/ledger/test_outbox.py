"""The outbox with crashes at many of its steps, and a database that several processes write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from llmasos.ledger._tables import RecordRow
from tests.ledger.conftest import Bench
from tests.ledger.test_schedules import MODES, crash_at, whatever_happens

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

WRITER = """
import sys
import anyio
from llmasos.ledger import Entry
from llmasos.ledger._recorder import Recorder
from llmasos.store import Store

async def main():
    recorder = Recorder(Store(sys.argv[1]), "session")
    for _ in range(60):
        await recorder.write(Entry(session="shared", kind="intent"))

anyio.run(main)
"""


@pytest.mark.parametrize(("first", "mode"), list(enumerate(MODES)))
async def test_a_crash_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, mode: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._outbox.WINDOW", 2)
    assert await crash_at(tmp_path, mode, first, 9) > 150


@pytest.mark.parametrize("seed", range(100, 114))
async def test_whatever_happens_each_record_is_on_the_chain_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._offers.STUCK_SECONDS", 0.0)
    monkeypatch.setattr("llmasos.ledger._outbox.WINDOW", (1, 2, 4, 1024)[seed % 4])
    await whatever_happens(tmp_path, seed)


async def test_numbers_have_no_gaps_when_another_process_writes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    command = [sys.executable, "-c", WRITER, str(bench.store.engine.url)]
    async with await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=None) as other:
        while other.returncode is None:
            await bench.record("shared")
            await anyio.lowlevel.checkpoint()
        assert await other.wait() == 0
    await bench.record("shared")
    rows = bench.rows(RecordRow)
    assert len(rows) > 61
    assert [(row.number, row.seq) for row in rows] == [(n, n) for n in range(1, len(rows) + 1)]
    bench.close()
