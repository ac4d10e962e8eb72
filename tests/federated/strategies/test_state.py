"""A strategy that got its memory back goes on as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmasos.federated.strategies import Guarded, State, choose, restore, state_of
from llmasos.federated.weights import Weights, load_weights, save_weights, weights_sha256
from tests.federated.strategies.conftest import FakeGrid, clients, plan, play

STRATEGIES: list[dict[str, Any]] = [
    {"name": "fedavg"},
    {"name": "fedprox", "mu": 0.1},
    {"name": "fedadam"},
    {"name": "fedyogi"},
    {"name": "fedmedian"},
    {"name": "trimmed-mean"},
    {"name": "krum", "byzantine": 1},
]


def start() -> Weights:
    return {
        "w": np.random.default_rng(5).standard_normal((4, 3)).astype(np.float32),
        "b": np.zeros(3, dtype=np.float64),
        "steps": np.array(0, dtype=np.int64),
    }


def nudged(weights: Weights, node: int) -> Weights:
    draw = np.random.default_rng(node)
    return {
        name: array + (draw.standard_normal(array.shape) / 7).astype(array.dtype) - array / 8
        if array.dtype.kind == "f"
        else array + node
        for name, array in weights.items()
    }


def train(weights: Weights, node: int) -> Weights:
    return {name: array.astype(start()[name].dtype) for name, array in nudged(weights, node).items()}


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda given: given["name"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    strategy: dict[str, Any], tmp_path: Path
) -> None:
    made = plan(strategy=strategy, sample=0.8, guard={"quorum": 0.3})
    grid = FakeGrid(range(1, 11), clients(train))

    def fresh() -> Guarded:
        return Guarded(choose(made), made, start())

    guard, weights, hashes = fresh(), start(), []
    for number in range(1, 5):
        weights = play(guard, grid, weights, number)
        hashes.append(weights_sha256(weights))
    assert len(set(hashes)) == 4

    weights, resumed = start(), []
    for number in range(1, 5):
        # Every round by a new strategy that knows only what files hold.
        guard = fresh()
        if number > 1:
            facts = json.loads((tmp_path / "facts.json").read_text())
            restore(guard, State(load_weights(tmp_path / "state"), facts))
            weights = load_weights(tmp_path / "model")
        weights = play(guard, grid, weights, number)
        resumed.append(weights_sha256(weights))
        state = state_of(guard)
        save_weights(tmp_path / "state", state.weights)
        save_weights(tmp_path / "model", weights)
        (tmp_path / "facts.json").write_text(json.dumps(state.facts))
    assert resumed == hashes


def test_what_was_missed_and_how_large_updates_were_is_remembered() -> None:
    made = plan(clients=2)
    guard = Guarded(choose(made), made, start())
    play(guard, FakeGrid((1, 2), clients(train)), start(), 1)
    play(guard, FakeGrid((1, 2), lambda message: None), start(), 2)
    other = Guarded(choose(made), made, start())
    restore(other, state_of(guard))
    assert other.missed == 1 and other.norms == guard.norms and len(other.norms) == 2


def test_the_memory_of_another_strategy_is_refused() -> None:
    adam, average = plan(strategy={"name": "fedadam"}), plan()
    guard = Guarded(choose(adam), adam, start())
    play(guard, FakeGrid(range(1, 11), clients(train)), start(), 1)
    state = state_of(guard)
    assert set(state.weights) == {f"{moment}/{name}" for moment in ("m_t", "v_t") for name in start()}
    with pytest.raises(ValueError, match="FedAvg has no moments"):
        restore(choose(average), state)


def test_a_bare_strategy_of_flowers_is_remembered_too() -> None:
    made = plan(strategy={"name": "fedyogi"})
    guard = Guarded(choose(made), made, start())
    play(guard, FakeGrid(range(1, 11), clients(train)), start(), 1)
    bare = choose(made)
    restore(bare, state_of(guard.strategy))
    assert set(state_of(bare).weights) == {
        f"{moment}/{name}" for moment in ("m_t", "v_t") for name in start()
    }
