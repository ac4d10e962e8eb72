"""Three hospitals' files, a plugin's recipe whose clients fail, and runs on the real local backend."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from llmasos.federated.events import RunEvent
from llmasos.federated.plan import Plan
from llmasos.federated.request import plan_of, request_of
from llmasos.federated.runs import Runs

ROWS = {"north.csv": 60, "south.csv": 80, "west.csv": 100, "east.csv": 120}


def write_hospital(path: Path, rows: int, seed: int) -> None:
    """Write a table whose three classes can be told apart."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, rows)
    inputs = draw.normal(size=(rows, 4)) + np.eye(4)[labels] * 3
    lines = [
        ",".join([*(f"{value:.6f}" for value in row), f"class-{label}"])
        for row, label in zip(inputs, labels, strict=True)
    ]
    path.write_text("\n".join(["a,b,c,d,diagnosis", *lines]) + "\n")


@pytest.fixture
def hospitals(tmp_path: Path) -> list[str]:
    for seed, (name, rows) in enumerate(ROWS.items()):
        write_hospital(tmp_path / name, rows, seed)
    return [str(tmp_path / name) for name in ROWS]


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin for the programs of runs."""
    home = tmp_path / "plugins"
    information = home / "faulty-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[llmasos.recipes]\nfaulty = faulty_recipe:Faulty\n")
    (home / "faulty_recipe.py").write_text(Path(__file__).with_name("faulty.py").read_text())
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(home), *([before] if before else [])]))


class Bench:
    """Runs of the local backend, with all that they told."""

    def __init__(self, runs: Runs, root: Path, recorded: list[RunEvent]) -> None:
        self.runs = runs
        self.root = root
        self.recorded = recorded

    async def prepared(self, sources: list[str], **given: Any) -> str:
        return (await self.runs.prepare(self.plan(sources, **given))).id

    def plan(self, sources: list[str], **given: Any) -> Plan:
        guard = given.pop("guard", None)
        plan = plan_of(request_of(data=tuple(sources), **given), sources)
        return Plan.model_validate({**plan.model_dump(), "guard": guard}) if guard else plan

    async def told(
        self, name: str, until: Callable[[RunEvent], bool] = lambda event: False
    ) -> list[RunEvent]:
        """Start a run and return what it told, up to an event or to the end."""
        run = await self.runs.start(name)
        told = []
        async for event in run.events():
            told.append(event)
            if until(event):
                break
        return told


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    recorded: list[RunEvent] = []

    async def record(event: RunEvent) -> None:
        recorded.append(event)

    async with anyio.create_task_group() as tasks:
        runs = Runs(tmp_path / "runs", tasks, record)
        yield Bench(runs, tmp_path / "runs", recorded)
        await runs.close()
