"""Trainings on a backend that plays: prepared, recorded, stopped, resumed, exported, recovered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from llmasos.errors import LedgerError
from llmasos.federated import run
from llmasos.federated.events import RunEvent
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError, UnknownRun
from llmasos.federated.request import plan_of, request_of
from llmasos.federated.run import environment_of
from llmasos.federated.runs import COPIES, Runs, installed_runs

pytestmark = pytest.mark.anyio

FILES = ["/data/north.csv", "/data/south.csv", "/data/west.csv"]


def plan(**given: object) -> Plan:
    options = {name: given.pop(name) for name in ("hang", "reject", "die", "refuse") if name in given}
    request = request_of(data=tuple(FILES), options=options, **{"rounds": 3, **given})
    return plan_of(request, FILES)


class Desk:
    """Runs, and what was recorded of them."""

    def __init__(self, root: Path, tasks: anyio.abc.TaskGroup, backends: dict[str, str]) -> None:
        self.root = root
        self.recorded: list[RunEvent] = []
        self.full = False
        self.runs = Runs(root, tasks, self._record, backends)

    async def _record(self, event: RunEvent) -> None:
        if self.full:
            raise LedgerError("The disk is full.")
        self.recorded.append(event)

    async def trained(self, **given: object) -> str:
        name = (await self.runs.prepare(plan(**given))).id
        async for _ in (await self.runs.start(name)).events():
            pass
        return name

    async def until_round(self, name: str) -> None:
        async for event in (await self.runs.start(name)).events():
            if event.type == "round_ended":
                return


@pytest.fixture
async def desk(tmp_path: Path, backends: dict[str, str]) -> AsyncIterator[Desk]:
    async with anyio.create_task_group() as tasks:
        made = Desk(tmp_path / "runs", tasks, backends)
        yield made
        await made.runs.close()


async def test_what_is_prepared_is_trained_recorded_and_exported(desk: Desk, tmp_path: Path) -> None:
    name = await desk.trained()
    await desk.runs.close()
    status = desk.runs.status(name)
    assert (status.state, status.round, status.plan.recipe) == ("completed", 3, "mlp")
    assert [event.type for event in desk.recorded].count("round_ended") == 3
    made = await desk.runs.results(name).export(tmp_path / "out" / "here")
    assert [file.name for file in made] == ["events.jsonl", "model.safetensors", "plan.json"]
    with pytest.raises(FederatedError, match="cannot be written"):
        await desk.runs.results(name).export(tmp_path / "out" / "here")
    with pytest.raises(FederatedError, match="is over"):
        await desk.runs.start(name)


async def test_data_can_be_brought_into_the_folder_before_the_plan_is_made(desk: Desk) -> None:
    async def gather(folder: Path) -> Plan:
        (folder / "data").mkdir()
        (folder / "data" / "rows.csv").write_text("a,b\n1,2\n")
        return plan_of(request_of(data=("data/rows.csv",), clients=2), ["data/rows.csv"])

    made = await desk.runs.prepare(gather, owner="k-1")
    assert (desk.root / made.id / "data" / "rows.csv").is_file()
    assert desk.runs.owner(made.id) == "k-1" and made.plan.clients == 2
    await desk.runs.remove(made.id)
    with pytest.raises(UnknownRun, match="no run"):
        desk.runs.status(made.id)


async def test_what_cannot_be_prepared_leaves_nothing(desk: Desk) -> None:
    async def missing(folder: Path) -> Plan:
        (folder / "half").write_text("of it")
        raise FederatedError("There is no file.")

    with pytest.raises(FederatedError, match="one class") as caught:
        await desk.runs.prepare(plan(refuse="There is one class only."))
    assert caught.value.hint == "Give other data."
    with pytest.raises(FederatedError, match="no file"):
        await desk.runs.prepare(missing)
    with pytest.raises(FederatedError, match="no backend deployment"):
        await desk.runs.prepare(plan(backend="deployment"))
    assert not list(desk.root.iterdir())


async def test_a_run_that_has_no_time_to_tell_that_it_was_stopped_is_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_STOP_SECONDS", 0.1)
    name = (await desk.runs.prepare(plan(hang="deaf"))).id
    await desk.until_round(name)
    assert (await desk.runs.stop(name)).state == "stopped"
    await desk.runs.close()
    ended = desk.recorded[-1]
    assert ended.type == "run_ended" and (ended.state, ended.rounds) == ("stopped", 1)
    assert ended.weights_sha256 == f"{1:064x}"


async def test_a_run_that_is_stopped_goes_on(desk: Desk) -> None:
    name = (await desk.runs.prepare(plan(hang=True))).id
    await desk.until_round(name)
    with pytest.raises(FederatedError, match="under way"):
        await desk.runs.start(name)
    with pytest.raises(FederatedError, match="is under way"):
        await desk.runs.remove(name)
    (desk.root / name / COPIES).mkdir()
    with pytest.raises(FederatedError, match="no results yet"):
        desk.runs.results(name).files()
    assert (await desk.runs.stop(name)).state == "stopped"
    await desk.runs.close()
    assert (desk.root / name / COPIES).exists()
    with pytest.raises(FederatedError, match="not under way: it is stopped"):
        await desk.runs.stop(name)
    folder = RunFolder(desk.root / name)
    folder.plan = folder.plan.model_copy(update={"options": {}})
    async for _ in (await desk.runs.start(name)).events():
        pass
    await desk.runs.close()
    assert desk.runs.status(name).state == "completed"
    assert [event.type for event in desk.recorded].count("run_started") == 2
    assert not (desk.root / name / COPIES).exists()


async def test_closing_waits_until_the_end_is_recorded(desk: Desk) -> None:
    name = (await desk.runs.prepare(plan(hang=True))).id
    await desk.until_round(name)
    await desk.runs.close()
    assert desk.recorded[-1].type == "run_ended"
    assert [status.id for status in desk.runs.all()] == [name]


async def test_a_run_that_cannot_be_recorded_is_stopped_and_recorded_later(desk: Desk) -> None:
    desk.full = True
    name = (await desk.runs.prepare(plan(hang=True))).id
    async for _ in (await desk.runs.start(name)).events():
        pass
    await desk.runs.close()
    assert desk.runs.status(name).state == "stopped" and not desk.recorded
    desk.full = False
    (desk.root / "f-half").mkdir()
    await desk.runs.recover()
    assert [event.type for event in desk.recorded].count("round_ended") == 1
    assert not (desk.root / "f-half").exists()
    await desk.runs.recover()
    assert len(desk.recorded) == len(list(RunFolder(desk.root / name).told()))


async def test_a_program_that_dies_is_seen_and_can_go_on(desk: Desk) -> None:
    assert desk.runs.status(await desk.trained(die=True)).state == "interrupted"


def test_without_the_extra_it_is_said_how_to_get_it() -> None:
    with pytest.raises(FederatedError, match="not installed") as caught:
        installed_runs(None)
    assert "pip install" in caught.value.hint


def test_a_runs_programs_compute_as_this_machine_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("OPENBLAS_CORETYPE", "Haswell"), ("OPENBLAS_NUM_THREADS", "8"), ("MY_TOKEN", "x")):
        monkeypatch.setenv(name, value)
    found = environment_of(RunFolder.make(tmp_path).path)
    assert found["OPENBLAS_CORETYPE"] == "Haswell", "workers on a cluster's nodes have it, too"
    assert found["OPENBLAS_NUM_THREADS"] == "1"
    assert "MY_TOKEN" not in found
