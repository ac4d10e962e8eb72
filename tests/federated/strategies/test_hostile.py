"""Two of ten clients are hostile: robust strategies bear it, and a plain mean does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from flwr.app import ConfigRecord

from llmasos.federated.messages import record_of, weights_of
from llmasos.federated.strategies import Guarded, choose
from llmasos.federated.weights import Weights
from tests.federated.strategies.conftest import FakeGrid, clients, plan, play

HOSTILE = (3, 8)
ROUNDS = 5


class Digits:
    """Handwritten digits of 8x8 at ten clients, and logistic regression on them."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        inputs, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(labels))
        inputs, labels = (inputs[order] / 16).astype(np.float32), labels[order]
        self.test = inputs[1500:], labels[1500:]
        self.parts = [(inputs[n:1500:10], labels[n:1500:10]) for n in range(10)]

    def start(self) -> Weights:
        return {"w": np.zeros((64, 10), np.float32), "b": np.zeros(10, np.float32)}

    def train(self, weights: Weights, node: int) -> Weights:
        inputs, labels = self.parts[node - 1]
        truth = np.eye(10, dtype=np.float32)[labels]
        w, b = weights["w"].copy(), weights["b"].copy()
        for _ in range(15):
            scores = inputs @ w + b
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            error = (shares / shares.sum(axis=1, keepdims=True) - truth) / np.float32(len(labels))
            w -= inputs.T @ error
            b -= error.sum(axis=0)
        return {"w": w, "b": b}

    def accuracy(self, weights: Weights) -> float:
        inputs, labels = self.test
        return float(np.mean(np.argmax(inputs @ weights["w"] + weights["b"], axis=1) == labels))


Attack = Callable[[Weights, Weights, int], Weights]


def sign_flip(sent: Weights, honest: Weights, node: int) -> Weights:
    return {name: sent[name] - 5 * (honest[name] - sent[name]) for name in sent}


def noise(sent: Weights, honest: Weights, node: int) -> Weights:
    draw = np.random.default_rng(node)
    return {
        name: (100 * draw.standard_normal(array.shape)).astype(array.dtype) for name, array in sent.items()
    }


def zeros(sent: Weights, honest: Weights, node: int) -> Weights:
    return {name: np.zeros_like(array) for name, array in sent.items()}


def nans(sent: Weights, honest: Weights, node: int) -> Weights:
    return {name: np.full_like(array, np.nan) for name, array in sent.items()}


def test_an_attack_that_is_refused_leaves_krum_fewer_to_bear(digits: Digits) -> None:
    # Three NaNs of ten: seven are left, and Krum would need nine to bear three more.
    made = plan(strategy={"name": "krum", "byzantine": 3})
    guard = Guarded(choose(made), made, digits.start())

    def train(weights: Weights, node: int) -> Weights:
        return nans(weights, weights, node) if node < 4 else digits.train(weights, node)

    play(guard, FakeGrid(range(1, 11), clients(train)), digits.start(), 1)
    assert guard.verdict.counted and len(guard.verdict.rejected) == 3


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def attacked(digits: Digits, attack: Attack | None) -> Callable[[Weights, int], Weights]:
    def train(weights: Weights, node: int) -> Weights:
        honest = digits.train(weights, node)
        return attack(weights, honest, node) if attack and node in HOSTILE else honest

    return train


@cache
def end(digits: Digits, name: str, attack: Attack | None, norm: float = 10.0) -> float:
    strategy = {"name": name, "byzantine": 2 if name == "krum" else 0}
    made = plan(strategy=strategy, guard={"norm": norm})
    guard = Guarded(choose(made), made, digits.start())
    grid = FakeGrid(range(1, 11), clients(attacked(digits, attack)))
    weights = digits.start()
    for number in range(1, ROUNDS + 1):
        weights = play(guard, grid, weights, number)
    return digits.accuracy(weights)


@cache
def end_unguarded(digits: Digits, attack: Attack | None) -> float:
    strategy = choose(plan())
    grid = FakeGrid(range(1, 11), clients(attacked(digits, attack)))
    weights = digits.start()
    with np.errstate(all="ignore"):
        for number in range(1, ROUNDS + 1):
            messages = strategy.configure_train(number, record_of(weights), ConfigRecord({}), grid)
            arrays, _ = strategy.aggregate_train(number, grid.send_and_receive(messages))
            assert arrays is not None
            weights = weights_of(arrays)
    return digits.accuracy(weights)


@pytest.mark.parametrize("attack", [sign_flip, noise, zeros, nans])
@pytest.mark.parametrize("strategy", ["fedmedian", "trimmed-mean", "krum"])
def test_a_robust_strategy_bears_two_hostile_clients(digits: Digits, strategy: str, attack: Attack) -> None:
    # Krum keeps one client's model, and is behind a mean without any attack too: each is held to its own.
    clean = end(digits, strategy, None)
    # The guard's norm is out of the way, so that the strategy alone bears what is finite.
    got = end(digits, strategy, attack, norm=1e9)
    print(strategy, attack.__name__, clean, got)
    assert got >= clean - 0.04


@pytest.mark.parametrize("attack", [sign_flip, noise, nans])
def test_a_plain_mean_does_not(digits: Digits, attack: Attack) -> None:
    clean, got = end_unguarded(digits, None), end_unguarded(digits, attack)
    print(attack.__name__, clean, got)
    assert got < clean - 0.2


@pytest.mark.parametrize("attack", [noise, nans])
def test_the_guard_alone_bears_what_stands_out(digits: Digits, attack: Attack) -> None:
    assert end(digits, "fedavg", attack) >= end(digits, "fedavg", None) - 0.02
