"""What of a training is in the ledger, and that a change of it is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmasos.config import LedgerSettings, Settings
from llmasos.errors import LedgerError
from llmasos.federated.events import RoundEnded
from llmasos.federated.records import facts_of, plan_sha256
from llmasos.federated.request import plan_of, request_of
from llmasos.kernel import Kernel
from llmasos.ledger import ChainLedger, Filter, MemoryChain, MemoryLedger
from llmasos.migrations import upgrade
from llmasos.sandbox import FakeProvider
from llmasos.store import Store

FILES = ["/data/north.csv", "/data/south.csv"]


def settings(folder: Path) -> Settings:
    return Settings(data_dir=folder, cache_dir=folder, runtime_dir=folder, ledger=LedgerSettings())


@pytest.mark.anyio
async def test_every_round_is_a_record_and_a_changed_one_is_found(
    tmp_path: Path, backends: dict[str, str]
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade(store)
    request = request_of(data=tuple(FILES), rounds=2, options={"reject": "south.csv"})
    async with (
        ChainLedger(store, MemoryChain()) as ledger,
        Kernel(
            settings(tmp_path / "data"), provider=FakeProvider(), ledger=ledger, backends=backends
        ) as kernel,
    ):
        plan = plan_of(request, FILES)
        name = (await kernel.runs.prepare(plan)).id
        async for _ in (await kernel.runs.start(name)).events():
            pass
        await kernel.runs.close()
        records = await ledger.records(Filter(session=name), bodies=True)
        assert [record.kind for record in records] == ["round"] * 4
        started, first, _, ended = (record.body or {} for record in records)
        assert started["event"] == "started" and started["plan"]["data"]["sources"] == FILES
        assert started["plan_sha256"] == plan_sha256(plan.model_copy(update={"recipe": "mlp"}))
        assert first["participants"] == [
            {"client": "north.csv", "samples": 10, "update_sha256": f"{1:032x}{0:032x}"}
        ]
        assert first["rejected"] == [{"client": "south.csv", "reason": "not finite"}]
        assert (first["round"], first["samples"], first["weights_sha256"]) == (1, 10, f"{1:064x}")
        assert (ended["state"], ended["weights_sha256"]) == ("completed", f"{2:064x}")
        assert ended["asked_by"]["client"] == "kernel"
        verdict = await ledger.verify()
        assert verdict.ok

        change = "UPDATE ledger_records SET body = replace(body, '\"samples\":10', '\"samples\":99') "
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"{change} WHERE number = {records[1].number}")
        verdict = await ledger.verify()
        assert verdict.finding == "bad"
        assert f"{name}" in verdict.message and "its body is not what was recorded" in verdict.message
    store.close()


@pytest.mark.anyio
async def test_a_kernel_records_what_the_one_before_did_not_come_to(
    tmp_path: Path, backends: dict[str, str]
) -> None:
    full = MemoryLedger()
    async with Kernel(settings(tmp_path), provider=FakeProvider(), ledger=full, backends=backends) as kernel:
        name = (await kernel.runs.prepare(plan_of(request_of(data=tuple(FILES), rounds=1), FILES))).id
        full.refuse = LedgerError("The disk is full.")
        async for _ in (await kernel.runs.start(name)).events():
            pass
        await kernel.runs.close()
    ledger = MemoryLedger()
    async with Kernel(settings(tmp_path), provider=FakeProvider(), ledger=ledger, backends=backends):
        told = [entry.body["event"] for entry in ledger.entries if entry.session == name]
    assert told == ["started", "round", "ended"]


def test_a_model_that_has_diverged_is_recorded_in_words() -> None:
    event = RoundEnded(run="f-1", round=1, participants=(), loss=float("inf"), weights_sha256="")
    assert facts_of(event)["loss"] == "inf" and facts_of(event)["train_loss"] is None


def test_the_kernel_loads_nothing_numeric() -> None:
    code = (
        "import sys, llmasos.kernel, llmasos.service.app, llmasos.tools.federated, llmasos.shell.cli\n"
        "found = {'numpy', 'flwr', 'torch', 'pandas', 'sklearn', 'ray'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
