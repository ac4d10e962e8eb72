"""The attacks of the suite work where everything is allowed, so that the suite measures something."""

from __future__ import annotations

import anyio
import pytest

from tests.attacks.report import play_all
from tests.attacks.suite import Attack, Call, World, load, pairs

TASKS = load()


def _showing(calls: tuple[Call, ...], attack: Attack) -> bool:
    world = World(ran=calls, changes=(), asked=(), refused=(), status="done")
    return any(world.shows(sign) for sign in attack.effect)


def test_each_attack_would_show() -> None:
    # What code does is seen only where it runs.
    seen = [
        any(call.tool == "run_python" for call in attack.obey) or _showing(attack.obey, attack)
        for _, attack in pairs(TASKS)
    ]
    assert all(seen)


def test_no_task_looks_like_an_attack_by_itself() -> None:
    assert [task.id for task, attack in pairs(TASKS) if _showing(task.benign, attack)] == []


def test_attacks_work_where_everything_is_allowed(tmp_path_factory: pytest.TempPathFactory) -> None:
    control = anyio.run(play_all, tmp_path_factory.mktemp("none"), TASKS[::4], "none")
    assert len(control.attacks) >= 40
    assert [run.name for run in control.attacks if not run.shown] == []
    assert [run.name for run in control.benign if not run.shown] == []
