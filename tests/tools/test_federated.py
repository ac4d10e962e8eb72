"""The tool `federated_train`: what it reads and writes, what it tells, and how a call ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from llmasos.agent.deed import Deed
from llmasos.errors import ToolError
from llmasos.federated.runs import Runs, installed_runs
from llmasos.sandbox.fake import FakeSandbox
from llmasos.tools import KernelContext, _gathering, extra_tools
from llmasos.tools._gathering import Gathering
from llmasos.tools.federated import federated_train
from llmasos.tools.knowledge.federation import ask_federation
from tests.federated.conftest import backends

__all__ = ["backends"]

pytestmark = pytest.mark.anyio


class Context:
    """What the tool gets, and what it told."""

    def __init__(self, folder: Path, runs: Runs | None) -> None:
        self.sandbox = FakeSandbox(folder)
        self.text = ""
        self.steps: list[tuple[str, float, float]] = []
        self._runs = runs

    @property
    def runs(self) -> Runs:
        return installed_runs(self._runs)

    def output(self, stream: str, text: str) -> None:
        self.text += text

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        self.steps.append((what, done, total))

    async def train(self, **arguments: Any) -> str:
        given = federated_train.validate(arguments)
        return str(await federated_train.run(cast(KernelContext, self), given))


@pytest.fixture
async def ctx(folder: Path, tmp_path: Path, backends: dict[str, str]) -> AsyncIterator[Context]:
    async def record(_event: object) -> None:
        return

    for name in ("north", "south", "west"):
        (folder / "hospitals").mkdir(exist_ok=True)
        (folder / "hospitals" / f"{name}.csv").write_text(
            "a,b,sick\n" + "1,2,no\n" * 500_000 * (name == "north")
        )
    async with anyio.create_task_group() as tasks:
        runs = Runs(tmp_path / "runs", tasks, record, backends)
        yield Context(folder, runs)
        await runs.close()


async def test_a_sentence_is_one_call_with_its_plan_its_rounds_and_its_results(
    ctx: Context, folder: Path, tmp_path: Path
) -> None:
    answer = await ctx.train(
        data=["hospitals/*.csv"],
        rounds=20,
        strategy="FedProx",
        mu=0.1,
        target=95,
        settings={"epochs": 2},
    )
    lines = ctx.text.splitlines()
    assert lines[0].startswith("Train north and 2 more: mlp, fedprox with mu 0.1, 20 rounds at most, until")
    assert lines[1].startswith("Clients: north.csv (10 rows), south.csv (10 rows), west.csv")
    assert "batch 32" in lines[2] and "epochs" not in lines[2] and lines[3].startswith("Forecast: 1.1 min")
    assert lines[4] == "Round 1 of 20: accuracy 0.5000, loss 0.5000, 3 of 3 clients."
    assert ctx.steps[-1] == ("Training", 5, 20)
    assert answer.startswith("5 of 20 rounds, accuracy 0.9688; the target is reached.") and len(answer) < 400
    saved = folder / "federated" / "north-and-2-more"
    assert f"Saved in federated/{saved.name}" in answer
    assert (saved / "model.safetensors").read_bytes() == b"a model"
    plan = json.loads((saved / "plan.json").read_text())
    assert plan["data"]["sources"] == [f"data/hospitals/{name}.csv" for name in ("north", "south", "west")]
    # What was copied is not kept longer than it is needed.
    assert not list(tmp_path.glob("runs/*/data"))


async def test_what_was_named_is_copied_whole(ctx: Context, folder: Path, tmp_path: Path) -> None:
    (folder / "scans" / "cat").mkdir(parents=True)
    (folder / "scans" / "cat" / "1.png").write_bytes(b"\x89PNG")
    with pytest.raises(ToolError, match="3 data sets cannot be dealt to 2 clients"):
        await ctx.train(data=["hospitals"], clients=2)
    # A stopped training keeps its copies, so that it can go on.
    with anyio.CancelScope() as scope:
        ctx.output = lambda stream, text: scope.cancel() if "Round 1" in text else None  # type: ignore[method-assign]
        await ctx.train(data=["hospitals/north.csv", "scans@8x8"], rounds=50)
    assert scope.cancelled_caught
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "data/hospitals/north.csv").stat().st_size == (
        folder / "hospitals/north.csv"
    ).stat().st_size
    assert (run / "data/scans/cat/1.png").read_bytes() == b"\x89PNG"
    (status,) = ctx.runs.all()
    assert status.plan.data.sources == ("data/hospitals/north.csv", "data/scans@8x8")
    assert not ctx.runs.get(status.id).running


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("h/*.csv", ["h/a.csv", "h/b.csv"]),
        ("h/[!a].csv", ["h/b.csv"]),
        ("*/old/*.csv", ["h/old/a.csv"]),
        ("h/**/*.csv", ["h/a.csv", "h/b.csv", "h/old/a.csv", "h/old/older/a.csv"]),
        ("**/b.csv", ["h/b.csv"]),
        ("?.csv", ["c.csv"]),
        ("h[1]", ["h[1]/a.csv"]),
        ("scans/*", ["scans/north", "scans/south"]),
        ("scans/n*h", ["scans/north"]),
        ("tables/*", ["tables/north/a.csv", "tables/south/a.csv"]),
    ],
)
async def test_a_glob_means_what_it_means_in_a_shell(
    folder: Path, tmp_path: Path, named: str, meant: list[str]
) -> None:
    for name in (
        *("c.csv", ".hidden.csv", "h/a.csv", "h/b.csv", "h/old/a.csv", "h/old/older/a.csv", "h[1]/a.csv"),
        *("scans/north/cat/1.png", "scans/north/dog/1.png", "scans/south/cat/1.png"),
        *("tables/north/a.csv", "tables/south/a.csv"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a,b\n1,2\n")
    gathering = Gathering(FakeSandbox(folder), tmp_path / "run", lambda *_: None)
    assert await gathering.sources([named]) == [f"data/{name}" for name in meant]
    assert all((tmp_path / "run" / "data" / name).exists() for name in meant)


async def test_a_glob_that_would_leave_files_out_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gathering, "_MOST_FILES", 3)
    for number in range(4):
        (folder / f"{number}.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ToolError, match="more than 3 files"):
        await Gathering(FakeSandbox(folder), tmp_path / "run", lambda *_: None).sources(["**/*.csv"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": ["none.csv"]}, "no data set none.csv"),
        ({"data": ["*.parquet"]}, "No file matches"),
        ({"data": ["@region/north", "@region/south"]}, "no backend deployment"),
        ({"data": ["/etc/passwd"]}, "no data set|outside"),
        ({"data": ["../../etc/hosts.csv"]}, "no data set|outside"),
        ({"data": []}, "data"),
        ({"data": ["digits"], "strategy": "best"}, "strategy"),
        ({"data": ["digits"], "settings": {"speed": 3}}, "speed: Extra inputs"),
        ({"data": ["digits"], "rounds": -1}, "rounds"),
    ],
)
async def test_what_is_impossible_is_told_to_the_model_and_leaves_nothing(
    ctx: Context, tmp_path: Path, given: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(ToolError, match=said):
        await ctx.train(**given)
    assert not list((tmp_path / "runs").glob("*")) and not ctx.text


async def test_results_go_where_they_are_wanted(ctx: Context, folder: Path) -> None:
    answer = await ctx.train(data=["digits"], clients=3, rounds=1, save_as="models/digits")
    assert (folder / "models/digits/events.jsonl").is_file() and "all rounds are done" in answer


async def test_without_the_extra_the_model_is_told(folder: Path) -> None:
    with pytest.raises(ToolError, match="not installed"):
        await Context(folder, None).train(data=["digits"])


def test_the_policy_sees_what_it_reads_and_writes() -> None:
    assert extra_tools() == [federated_train, ask_federation]
    given = federated_train.validate({"data": ["hospitals/*.csv", "../secret.csv"]})
    deed = Deed.of(federated_train, given, ())
    assert deed.effects == {"reads", "writes"}
    assert deed.writes == ("federated",) and "hospitals/*.csv" in deed.reads
    assert len(deed.outside) == 1


def test_its_schema_costs_little_and_its_examples_are_calls() -> None:
    assert len(json.dumps(federated_train.parameters)) < 1200
    assert len(federated_train.description) < 120
    for example in federated_train.examples:
        federated_train.validate(eval(example.call, {"federated_train": dict}))
