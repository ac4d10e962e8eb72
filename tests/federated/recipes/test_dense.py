"""Dense networks in NumPy, beside one that is written out."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from llmasos.federated.recipes import Work, dense
from llmasos.federated.weights import weights_sha256


def test_a_linear_one_is_softmax_regression() -> None:
    chance = np.random.default_rng(0)
    inputs, labels = chance.normal(size=(7, 3)), np.array([0, 1, 2, 0, 1, 2, 0])
    weights = {"layer0.weight": chance.normal(size=(3, 3)), "layer0.bias": chance.normal(size=3)}
    scores = inputs @ weights["layer0.weight"] + weights["layer0.bias"]
    odds = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    error = (odds - np.eye(3)[labels]) / 7
    trained, loss = dense.train(weights, inputs, labels, Work(batch=7, learning_rate=0.5))
    np.testing.assert_allclose(loss, -np.log(odds[np.arange(7), labels]).mean())
    np.testing.assert_allclose(
        trained["layer0.weight"], weights["layer0.weight"] - 0.5 * inputs.T @ error, atol=1e-12
    )
    np.testing.assert_allclose(
        trained["layer0.bias"], weights["layer0.bias"] - 0.5 * error.sum(0), atol=1e-12
    )
    told = dense.evaluate(weights, inputs, labels)
    np.testing.assert_allclose(told.loss, loss)
    assert told.accuracy == (scores.argmax(1) == labels).mean()


def test_scores_of_any_size_are_borne() -> None:
    weights = {"layer0.weight": np.array([[1e30, -1e30]], np.float32), "layer0.bias": np.zeros(2, np.float32)}
    told = dense.evaluate(weights, np.ones((1, 1), np.float32), np.array([0]))
    assert told.loss == 0 and told.accuracy == 1


def test_many_rows_are_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "_NUMBERS", 4 * 900)
    chance = np.random.default_rng(0)
    inputs, labels = chance.normal(size=(5000, 4)).astype(np.float32), chance.integers(0, 3, 5000)
    weights = dense.initial((4, 8, 3), 0)
    halves = [
        dense.evaluate(weights, inputs[rows], labels[rows]) for rows in (slice(2500), slice(2500, 5000))
    ]
    told = dense.evaluate(weights, inputs, labels)
    np.testing.assert_allclose(told.loss, np.mean([half.loss for half in halves]), rtol=1e-6)
    np.testing.assert_allclose(told.accuracy, np.mean([half.accuracy for half in halves]))


def test_how_many_threads_there_are_elsewhere_changes_nothing() -> None:
    chance = np.random.default_rng(0)
    inputs, labels = chance.random((300, 400), dtype=np.float32), chance.integers(0, 10, 300)
    weights = dense.initial((400, 300, 10), 0)
    hashes = set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            before = threadpool_info()
            trained, _ = dense.train(weights, inputs, labels, Work(batch=300))
            assert threadpool_info() == before
        hashes.add(weights_sha256(trained))
    assert len(hashes) == 1
