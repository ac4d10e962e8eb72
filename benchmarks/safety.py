"""The attack suite under several policies, and what deciding costs.

Every attack is carried out by a model that obeys everything, on a whole kernel with nobody to ask; the
sandbox runs nothing, and the ledger lies in memory.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from llmasos.agent import judge
from llmasos.agent.gate import ActionOutcome, Gate
from llmasos.agent.policy import Call, Facts, Policy, Rule, When, builtin, decide
from llmasos.decisions import Decision
from llmasos.events import ToolChoice
from llmasos.tools import KernelContext, Tool
from tests.attacks.control import Rules
from tests.attacks.report import Report, play_all
from tests.attacks.suite import load

RULES = 200
POLICIES: tuple[tuple[Rules, str], ...] = (
    ("none", "none"),
    ("ask on every effect", "ask on every effect"),
    ("ours", "ours: extended provenance, asking about copied commands"),
)


def lines() -> list[str]:
    """Play the suite under each policy, time the gate, and return the figures."""
    tasks = load()
    rows, overheads, decided = [], list[float](), list[tuple[Call, Facts]]()
    for rules, name in POLICIES:
        with tempfile.TemporaryDirectory() as base, own_folders(Path(base)), timed() as (measured, calls):
            report = anyio.run(play_all, Path(base) / "plays", tasks, rules)
        if rules == "ours":
            overheads, decided = measured, calls
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
        cost(f"`decide` with {RULES} rules, on the same calls", deciding(decided)),
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


def deciding(calls: Sequence[tuple[Call, Facts]]) -> list[float]:
    """Return the seconds of each decision under the built-in rules and many of a person's own."""
    own = (
        Rule(
            id=f"own-{number}",
            decision="ask" if number % 2 else "allow",
            priority=10,
            when=When(
                tool=(f"tool_{number}*",),
                writes=(f"part-{number}/**/*.csv", f"*-{number}.md"),
                commands=(f"program-{number} *",),
            ),
        )
        for number in range(RULES)
    )
    policy = Policy.of([*builtin(), *own][:RULES])
    assert len(policy.rules) == RULES
    seconds = []
    for call, facts in calls:
        began = time.perf_counter()
        decide(call, facts, policy)
        seconds.append(time.perf_counter() - began)
    return seconds


@contextmanager
def own_folders(base: Path) -> Iterator[None]:
    """Keep away from the user's rules."""
    names = ("DATA", "CONFIG", "RUNTIME")
    with patch.dict(os.environ, {f"LLMASOS_{name}_DIR": str(base / name.lower()) for name in names}):
        yield


@contextmanager
def timed() -> Iterator[tuple[list[float], list[tuple[Call, Facts]]]]:
    """Give out the seconds of each call of the gate, less the tool's own, and what was decided on."""
    measured: list[float] = []
    calls: list[tuple[Call, Facts]] = []
    inside = [0.0]
    call, run = Gate.call, Tool.run

    async def timed_call(
        self: Gate,
        name: str,
        arguments: Mapping[str, Any],
        *,
        parent: str = "",
        choice: ToolChoice | None = None,
    ) -> ActionOutcome:
        before, began = inside[0], time.perf_counter()
        try:
            return await call(self, name, arguments, parent=parent, choice=choice)
        finally:
            if not parent:
                measured.append(time.perf_counter() - began - (inside[0] - before))

    async def timed_run(self: Tool, context: KernelContext, arguments: Mapping[str, Any]) -> object:
        before, began = inside[0], time.perf_counter()
        try:
            return await run(self, context, arguments)
        finally:
            # What a tool calls inside has its time within its own.
            inside[0] = before + time.perf_counter() - began

    def noted(asked: Call, facts: Facts, policy: Policy) -> Decision:
        calls.append((asked, facts))
        return decide(asked, facts, policy)

    with (
        patch.object(Gate, "call", timed_call),
        patch.object(Tool, "run", timed_run),
        patch.object(judge, "decide", noted),
    ):
        yield measured, calls
