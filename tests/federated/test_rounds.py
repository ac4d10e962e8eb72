"""A run goes on where it was: what was kept and not told is told, and a target that is reached is its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmasos.federated.checkpoints import newest
from llmasos.federated.events import RoundEnded, RunEnded, RunEvent
from llmasos.federated.folder import RunFolder
from llmasos.federated.recipes import Score
from llmasos.federated.rounds import Rounds
from llmasos.federated.schema import Schema
from llmasos.federated.strategies import Guarded, State, choose, restore
from llmasos.federated.weights import Weights
from tests.federated.strategies.conftest import FakeGrid, clients, identity, moved, plan, small

assert identity  # a fixture for all tests here
SCHEMA = Schema(kind="table", shape=(3,), classes=("no", "yes"))


class Crash(Exception):
    """The disk is full, or the power is gone."""


class Trained:
    """A training whose kernel may be gone in the middle of what it tells.

    Args:
        folder: Of its run.
        dies: At which round it is gone, after the round is kept and before it is told; 0 never.
    """

    def __init__(self, folder: RunFolder, dies: int = 0) -> None:
        self.folder, self.dies = folder, dies
        self.weights = small()

    def run(self) -> Weights:
        kept, made = newest(self.folder), self.folder.plan
        strategy = Guarded(choose(made), made, self.weights)
        if kept is not None:
            restore(strategy, State(kept.arrays, dict(kept.facts)))
        grid = FakeGrid(range(1, 11), clients(lambda weights, node: moved(weights, 0.125)))
        rounds = Rounds(made, SCHEMA, grid, strategy, self.folder, self._tell, self._score)
        return rounds.run(kept.weights if kept else self.weights, kept.round if kept else 0)

    def _tell(self, event: RunEvent) -> None:
        if isinstance(event, RoundEnded) and event.round == self.dies:
            raise Crash
        self.folder.tell(event)

    def _score(self, weights: Weights) -> Score:
        return Score(float("nan"), round(float(np.mean(weights["b"])), 3))


def told(folder: RunFolder) -> list[str | int]:
    return [
        event.round if isinstance(event, RoundEnded) else event.state
        for event, _ in folder.told()
        if isinstance(event, RoundEnded | RunEnded)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.make(tmp_path / "runs", plan(rounds=4, target=0.5))


@pytest.mark.parametrize("dies", [1, 2, 3])
def test_a_round_that_was_kept_and_not_told_is_told_when_the_run_goes_on(
    folder: RunFolder, tmp_path: Path, dies: int
) -> None:
    whole = RunFolder.make(tmp_path / "whole", folder.plan)
    Trained(whole).run()
    with pytest.raises(Crash):
        Trained(folder, dies).run()
    assert told(folder) == list(range(1, dies))
    Trained(folder).run()
    assert told(folder) == told(whole) == [1, 2, 3, 4, "target"]
    hashes = [
        [event.weights_sha256 for event, _ in one.told() if isinstance(event, RoundEnded)]
        for one in (folder, whole)
    ]
    assert hashes[0] == hashes[1]


def test_a_run_whose_target_is_reached_does_not_train_past_it(tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path / "runs", plan(rounds=4, target=0.25))
    with pytest.raises(Crash):
        Trained(folder, 2).run()
    reached = newest(folder)
    assert reached is not None and reached.round == 2
    weights = Trained(folder).run()
    assert told(folder) == [1, 2, "target"]
    assert all(np.array_equal(weights[name], reached.weights[name]) for name in weights)
    Trained(folder).run()
    assert told(folder) == [1, 2, "target", "target"], "a round is told once"
