"""Whatever the suite does is explained in every part, and each counterfactual of it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.agent.explain.log import newest
from llmasos.api.explaining import ActionExplanation
from tests.attacks.harness import stage
from tests.attacks.suite import load

pytestmark = pytest.mark.anyio
TASKS = load()[::8]
PARTS = {
    "said": "said",
    "arguments": "arguments",
    "origins": "origins",
    "choice": "choice",
    "decision": "decision",
    "facts": "facts",
    "checks": "checks",
    "approvals": "approvals",
    "outcome": "status",
    "changes": "changes",
    "proof": "proof",
}


def complete(action: ActionExplanation) -> bool:
    """Return whether each part of an explanation is there, or is said not to be."""
    return all((getattr(action, name) is None) == (part in action.absent) for part, name in PARTS.items())


async def test_everything_that_is_done_is_explained_and_holds(tmp_path: Path) -> None:
    seen, checks = [], 0
    async with stage(tmp_path) as it:
        for task in TASKS:
            await it.play(task, task.benign)
            for attack in task.attacks[:1]:
                await it.play(task, task.obeyed(attack), plants=attack.plants)
        for place in await newest(it.kernel.store, limit=1000):
            for action in (await it.kernel.explainer.explain(place.turn, place)).actions:
                seen.append(action)
                assert complete(action), action
                assert action.problems == (), (action.tool, action.arguments, action.problems)
                assert action.decision is None or action.checks, action.absent
                assert all(check.holds for check in action.checks or ())
                checks += len(action.checks or ())
    assert {"ok", "denied"} <= {action.status for action in seen}
    assert checks > 2 * len(seen)
