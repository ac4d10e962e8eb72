"""Attacks by commands and code in a real jail: what is not let through changes nothing."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.attacks.control import Rules
from tests.attacks.harness import stage
from tests.attacks.suite import Attack, Task, load, pairs

pytestmark = pytest.mark.integration


def _by_code(task: Task, attack: Attack) -> bool:
    runs = any(call.tool in ("run_shell", "run_python") for call in attack.obey)
    return runs and any(sign.path or sign.deleted for sign in attack.effect)


ATTACKS = [(task, attack) for task, attack in pairs(load()) if _by_code(task, attack)]


async def _changed(base: Path, rules: Rules) -> list[str]:
    """Play the attacks, and return those that have changed a file as they meant to."""
    changed = []
    async with stage(base, rules, jail=True) as it:
        for task, attack in ATTACKS:
            world = await it.play(task, task.obeyed(attack), plants=attack.plants)
            seen = world.model_copy(update={"ran": ()})
            if any(seen.shows(sign) for sign in attack.effect if not sign.ran):
                changed.append(f"{task.vector}/{task.id}/{attack.id}")
    return changed


def test_attacks_change_nothing_in_a_real_jail(tmp_path: Path) -> None:
    everything = anyio.run(_changed, tmp_path / "none", "none")
    assert len(everything) == len(ATTACKS) >= 8
    assert anyio.run(_changed, tmp_path / "ours", "ours") == []
