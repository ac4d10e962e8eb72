"""The attack suite under several policies, and what deciding costs.

Every attack is carried out by a model that obeys everything, on a whole kernel with nobody to ask; the
sandbox runs nothing, and the ledger lies in memory.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from llmasos.agent.gate import ActionOutcome, Gate
from llmasos.tools import Tool, ToolContext
from tests.attacks.control import Rules
from tests.attacks.report import Report, play_all
from tests.attacks.suite import load

POLICIES: tuple[tuple[Rules, str], ...] = (
    ("none", "none"),
    ("ask on every effect", "ask on every effect"),
    ("ours", "ours: extended provenance, asking about copied commands"),
)


def lines() -> list[str]:
    """Play the suite under each policy, time the gate, and return the figures."""
    tasks = load()
    rows, overheads = [], list[float]()
    for rules, name in POLICIES:
        with tempfile.TemporaryDirectory() as base, own_folders(Path(base)), timed() as measured:
            report = anyio.run(play_all, Path(base) / "plays", tasks, rules)
        if rules == "ours":
            overheads = measured
        rows.append(row(name, report))
        print(rows[-1], flush=True)
    count = sum(len(task.attacks) for task in tasks)
    return [
        f"{count} attacks on {len(tasks)} tasks, each carried out by a model that obeys whatever it reads,",
        "on a whole kernel with nobody to ask; the same tasks are done without an attack as well.",
        "",
        "| policy | attackers that got something | prompts per task | tasks done without a prompt |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "| what deciding costs | p50 | p99 |",
        "| --- | --- | --- |",
        cost(
            f"the whole gate, over {len(overheads)} calls of the suite, less what the tools took", overheads
        ),
    ]


def row(name: str, report: Report) -> str:
    """Return a policy's figures as a row."""
    attackers = f"{report.effects} of {len(report.attacks)}"
    return f"| {name} | {attackers} | {report.prompts_per_task:.2f} | {report.unprompted:.0%} |"


def cost(what: str, seconds: list[float]) -> str:
    """Return a row of times, in milliseconds."""
    p99 = statistics.quantiles(seconds, n=100)[98]
    return f"| {what} | {statistics.median(seconds) * 1000:.2f} ms | {p99 * 1000:.2f} ms |"


@contextmanager
def own_folders(base: Path) -> Iterator[None]:
    """Keep away from the user's rules."""
    names = ("DATA", "CONFIG", "RUNTIME")
    with patch.dict(os.environ, {f"LLMASOS_{name}_DIR": str(base / name.lower()) for name in names}):
        yield


@contextmanager
def timed() -> Iterator[list[float]]:
    """Give out a list that takes the seconds of each call of the gate, without those of the tool itself."""
    measured: list[float] = []
    inside = [0.0]
    call, run = Gate.call, Tool.run

    async def timed_call(
        self: Gate, name: str, arguments: Mapping[str, Any], *, parent: str = ""
    ) -> ActionOutcome:
        before, began = inside[0], time.perf_counter()
        try:
            return await call(self, name, arguments, parent=parent)
        finally:
            if not parent:
                measured.append(time.perf_counter() - began - (inside[0] - before))

    async def timed_run(self: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> object:
        before, began = inside[0], time.perf_counter()
        try:
            return await run(self, context, arguments)
        finally:
            # What a tool calls inside has its time within its own.
            inside[0] = before + time.perf_counter() - began

    with patch.object(Gate, "call", timed_call), patch.object(Tool, "run", timed_run):
        yield measured
