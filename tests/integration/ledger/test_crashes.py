"""Killed at any moment and at every step, a ledger loses nothing and doubles nothing."""

from __future__ import annotations

import os
import random
import select
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Literal

import pytest

from llmasos.ledger._types import Mode
from tests.integration.ledger.crashing import Durable, Plan, State, look, start

pytestmark = pytest.mark.integration

MOMENTS = 0.005, 0.25
# Anvil forgets everything with each death, and all that was recorded is sent to it again.
KILLS: list[tuple[Literal["embedded", "anvil"], Mode, int]] = [
    ("embedded", "each", 60),
    ("embedded", "batch", 40),
    ("embedded", "merkle", 40),
    ("anvil", "each", 30),
    ("anvil", "batch", 20),
    ("anvil", "merkle", 20),
]
LOOK_EVERY = 20
RECORDS = 2
GONE_SECONDS = 30.0


def whole(state: State, durable: Iterable[Durable]) -> None:
    """See that everything which was said to be durable is there, in order, and on the chain once."""
    assert state.flushed, state.error
    assert (state.finding, state.problems) == ("ok", ())
    kept = {record.number: record for record in state.records}
    assert [kept.get(record.number) for record in durable] == list(durable)
    assert sorted(kept) == list(range(1, len(kept) + 1))
    assert state.events == len(kept)


def gone(pids: Iterable[int]) -> None:
    """Wait until processes have ended, whoever their parents are."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([descriptor], [], [], GONE_SECONDS)[0], f"process {pid} goes on"
        finally:
            os.close(descriptor)


def naming(text: str) -> list[int]:
    """Return the processes whose command has a text in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize(("chain", "mode", "kills"), KILLS)
def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    tmp_path: Path, chain: Literal["embedded", "anvil"], mode: Mode, kills: int
) -> None:
    chosen = random.Random(f"{chain} {mode}")
    plan, durable, pids = Plan(tmp_path, chain, mode), [], []
    for number in range(1, kills + 1):
        writer = start(replace(plan, seed=number))
        pids += [writer.pid, *writer.nodes]
        moment = chosen.uniform(*MOMENTS)
        # All at once; the writer alone, and its node ends by itself; or the node, and soon after the writer.
        victim = chosen.choice(("all", "writer", "node") if chain == "embedded" else ("writer",))
        if victim == "node":
            writer.process.join(moment / 2)
            # It is gone already where the node before it had not ended yet.
            with suppress(ProcessLookupError):
                os.kill(writer.nodes[-1], signal.SIGKILL)
        writer.process.join(moment / 2 if victim == "node" else moment)
        if victim == "writer":
            os.kill(writer.pid, signal.SIGKILL)
        else:
            os.killpg(writer.pid, signal.SIGKILL)
        assert writer.ended() == -signal.SIGKILL
        durable += writer.durable
        if number % LOOK_EVERY == 0 or number == kills:
            whole(look(plan), durable)
    assert durable
    gone([*pids, *naming(str(tmp_path))])


@pytest.mark.parametrize(
    ("chain", "mode"),
    [("embedded", "each"), ("embedded", "merkle"), ("anvil", "each")],
)
def test_killed_at_every_step_it_loses_and_doubles_nothing(
    tmp_path: Path, chain: Literal["embedded", "anvil"], mode: Mode
) -> None:
    rotates = mode == "each"
    died, pids = [], []
    for step in count(1):
        folder = tmp_path / str(step)
        folder.mkdir()
        plan = Plan(folder, chain, mode, step=step, records=RECORDS, rotates=rotates)
        writer = start(plan)
        pids += [writer.pid, *writer.nodes]
        status = writer.ended()
        # A writer that got to its end has taken fewer steps than that.
        assert status in (0, -signal.SIGKILL)
        if status == 0:
            break
        died.append(writer.died)
        whole(look(plan), writer.durable)
    steps = {"commit", "after connect", "before send", "after send", "after receipts"}
    steps |= {"after prepare", "after adopt"} if rotates else set()
    assert steps <= set(died)
    gone([*pids, *naming(str(tmp_path))])
