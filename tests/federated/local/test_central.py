"""Central training does the work of the clients, on their rows, in the time there is."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from llmasos.federated.dataset import Examples
from llmasos.federated.local.central import bounded, passes, train_centrally
from llmasos.federated.plan import DataPlan, Plan, Training
from llmasos.federated.recipes import Work
from llmasos.federated.recipes.logistic import Logistic
from llmasos.federated.report import Comparison
from llmasos.federated.schema import Schema

SCHEMA = Schema(kind="table", shape=(3,), classes=("a", "b"), rows=(10, 20))
PLAN = Plan(
    name="p",
    recipe="logistic",
    clients=2,
    rounds=9,
    seed=3,
    data=DataPlan(sources=("x", "y")),
    training=Training(epochs=2, batch=4, learning_rate=0.5),
)


def examples(rows: int, seed: int) -> Examples:
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(rows, 3)).astype(np.float32)
    return Examples(inputs, (inputs[:, 0] > 0).astype(np.int64))


def test_it_is_the_recipe_on_all_rows_at_once() -> None:
    parts = [(examples(8, 1), examples(2, 2)), (examples(16, 3), examples(4, 4))]
    made = train_centrally(Logistic(), PLAN, SCHEMA, 5, parts)
    train, held = [
        Examples(
            np.concatenate([part[side].inputs for part in parts]),
            np.concatenate([part[side].labels for part in parts]),
        )
        for side in (0, 1)
    ]
    start = Logistic().initial(SCHEMA, {}, 3)
    work = Work(epochs=10, batch=4, learning_rate=0.5, seed=3)
    weights, _ = Logistic().train(start, train, work, SCHEMA, {})
    score = Logistic().evaluate(weights, held, SCHEMA, {})
    assert (made.passes, made.rows, made.held) == (10, 24, 6)
    assert (made.loss, made.accuracy) == (score.loss, score.accuracy)


@pytest.mark.parametrize(("sample", "rounds", "count"), [(1.0, 9, 18), (0.5, 9, 9), (0.5, 0, 1), (0.1, 3, 3)])
def test_passes_are_those_of_the_clients(sample: float, rounds: int, count: int) -> None:
    # At least one of the two clients is asked.
    assert passes(PLAN.model_copy(update={"sample": sample}), rounds) == count


def test_what_takes_too_long_or_fails_is_left_out_and_says_so() -> None:
    def hang() -> Comparison:
        signal.pause()
        raise AssertionError

    def fail() -> Comparison:
        raise MemoryError("no room")

    assert "more than 0 seconds" in bounded(hang, 0.1).missing
    assert "it raised MemoryError: no room" in bounded(fail, 60).missing
    made = Comparison(passes=1)
    assert bounded(lambda: made, 60) == made
