"""A client that forgets FedProx's proximal term is caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from llmasos.federated.client import client_app
from llmasos.federated.dataset import Dataset, Examples
from llmasos.federated.messages import (
    ARRAYS,
    CONFIG,
    LOSS,
    METRICS,
    PROXIMAL,
    Task,
    record_of,
    weights_of,
    with_task,
)
from llmasos.federated.plan import Privacy
from llmasos.federated.proximal import honoured
from llmasos.federated.recipes.port import Score, Work
from llmasos.federated.recipes.registry import recipe
from llmasos.federated.schema import Kind, Schema
from llmasos.federated.strategies import Guarded, choose
from llmasos.federated.weights import Weights
from tests.federated.strategies.conftest import FakeGrid, identity, plan, play, reply_of

assert identity  # a fixture for all tests here
SCHEMA = Schema(kind="table", shape=(3,), columns=("a", "b", "c"), classes=("no", "yes"))


class Regression:
    """Logistic regression of two classes by single rows, with the term or without."""

    name = title = "regression"
    kinds: frozenset[Kind] = frozenset({"table"})

    def __init__(self, *, says: bool = True, adds: bool = True) -> None:
        self.proximal, self.adds = says, adds

    def initial(self, schema: Schema, options: Mapping[str, Any], seed: int) -> Weights:
        return {"w": np.zeros(3, np.float32), "steps": np.array(0, np.int64)}

    def train(
        self, weights: Weights, examples: Examples, work: Work, schema: Schema, options: Mapping[str, Any]
    ) -> tuple[Weights, float]:
        start, w = weights["w"], weights["w"].copy()
        steps = 0
        for _ in range(work.epochs):
            for n in range(0, len(examples), work.batch):
                rows, labels = examples.inputs[n : n + work.batch], examples.labels[n : n + work.batch]
                wrong = 1 / (1 + np.exp(-(rows @ w))) - labels
                slope = rows.T @ wrong / len(rows) + (work.proximal * (w - start) if self.adds else 0)
                w = (w - work.learning_rate * slope).astype(np.float32)
                steps += 1
        return {"w": w, "steps": weights["steps"] + steps}, 0.5

    def evaluate(
        self, weights: Weights, examples: Examples, schema: Schema, options: Mapping[str, Any]
    ) -> Score:
        raise NotImplementedError


def examples(rows: int = 40) -> Examples:
    draw = np.random.default_rng(2)
    return Examples(draw.standard_normal((rows, 3)).astype(np.float32), draw.integers(0, 2, rows))


def used(recipe: Regression, mu: float = 0.1, rows: int = 40, **work: Any) -> bool | None:
    return honoured(recipe, examples(rows), Work(proximal=mu, **work), SCHEMA, {}, 0)


@pytest.mark.parametrize(
    ("rows", "batch", "mu"), [(40, 10, 0.1), (40, 1000, 1e-9), (1, 32, 1.0), (3, 2, 10.0)]
)
def test_a_recipe_with_the_term_is_found_to_have_it(rows: int, batch: int, mu: float) -> None:
    assert used(Regression(), mu, rows, batch=batch)
    assert used(Regression(), mu, rows, batch=batch, learning_rate=1e-5)


def test_a_recipe_without_the_term_is_found_out_whatever_it_says() -> None:
    assert used(Regression(says=False, adds=False)) is False
    assert used(Regression(says=True, adds=False)) is False


def test_rows_that_move_nothing_do_not_tell() -> None:
    still = Examples(np.zeros((40, 3), np.float32), np.zeros(40, np.int64))
    assert honoured(Regression(adds=False), still, Work(proximal=0.1), SCHEMA, {}, 0) is None


def test_rows_at_the_end_count_too() -> None:
    rows = np.zeros((40, 3), np.float32)
    rows[30:] = 1
    late = Examples(rows, np.arange(40) % 2)
    assert honoured(Regression(), late, Work(proximal=0.1), SCHEMA, {}, 0)
    assert honoured(Regression(adds=False), late, Work(proximal=0.1), SCHEMA, {}, 0) is False


def test_a_client_of_a_model_that_is_sure_of_its_rows_is_not_refused() -> None:
    draw = np.random.default_rng(2)
    rows = draw.standard_normal((40, 3)).astype(np.float32)
    labels = np.array(["yes" if row[0] > 0 else "no" for row in rows])
    dataset = Dataset("table", rows, labels, columns=SCHEMA.columns)
    app = client_app(lambda context: ("north", dataset))
    context = Context(run_id=1, node_id=2, node_config={}, state=RecordDict(), run_config={})
    task = Task(
        client="north",
        recipe="logistic",
        options={},
        schema=SCHEMA.model_copy(update={"mean": (0.0,) * 3, "scale": (1.0,) * 3}),
        holdout=0.2,
        epochs=1,
        batch=32,
        learning_rate=0.1,
        privacy=Privacy(),
        seed=0,
        round=9,
    )
    sure = recipe("logistic").initial(SCHEMA, {}, 0)
    for array in sure.values():
        if array.ndim == 2:
            array[0] = (-1e6, 1e6)
    sent = RecordDict({ARRAYS: record_of(sure), CONFIG: ConfigRecord({PROXIMAL: 0.1})})
    message = with_task(Message(sent, 2, "train", group_id="9"), task)
    reply = app(message, context).content
    assert reply.metric_records[METRICS][PROXIMAL] == 0.1
    trained = weights_of(reply.array_records[ARRAYS])
    assert all(np.array_equal(trained[name], sure[name]) for name in sure), "nothing was left to learn"


def client(recipe_of: Callable[[int], Regression], tells: bool = True) -> Callable[[Message], Message]:
    """Return clients as the program at each node is: it tries its recipe, trains, and tells."""

    def answer(message: Message) -> Message:
        recipe = recipe_of(message.metadata.dst_node_id)
        config = message.content.config_records["config"]
        work = Work(proximal=float(config["proximal-mu"]))  # type: ignore[arg-type]
        weights = weights_of(message.content.array_records["arrays"])
        mu = work.proximal if honoured(recipe, examples(), work, SCHEMA, {}, 0) else 0.0
        trained, loss = recipe.train(weights, examples(), work, SCHEMA, {})
        return reply_of(message, trained, metrics={LOSS: loss} | ({PROXIMAL: mu} if tells else {}))

    return answer


@pytest.mark.parametrize("bad", [Regression(says=False, adds=False), Regression(says=True, adds=False)])
def test_the_server_refuses_who_trained_without_it(bad: Regression) -> None:
    made = plan(strategy={"name": "fedprox", "mu": 0.1})
    start = Regression().initial(SCHEMA, {}, 0)
    guard = Guarded(choose(made), made, start)
    grid = FakeGrid(range(1, 11), client(lambda node: bad if node == 4 else Regression()))
    play(guard, grid, start, 1)
    assert [(one.client, one.reason) for one in guard.verdict.rejected] == [
        ("4", "it trained without FedProx's proximal term (mu 0.1 was asked for)")
    ]
    assert len(guard.verdict.participants) == 9


def test_a_program_that_knows_nothing_of_the_term_is_refused() -> None:
    made = plan(strategy={"name": "fedprox", "mu": 0.1})
    start = Regression().initial(SCHEMA, {}, 0)
    guard = Guarded(choose(made), made, start)
    play(guard, FakeGrid(range(1, 11), client(lambda node: Regression(), tells=False)), start, 1)
    assert len(guard.verdict.rejected) == 10 and not guard.verdict.counted


def test_without_a_term_nobody_needs_to_say_anything() -> None:
    made = plan(strategy={"name": "fedprox", "mu": 0.0})
    start = Regression().initial(SCHEMA, {}, 0)
    guard = Guarded(choose(made), made, start)
    play(guard, FakeGrid(range(1, 11), client(lambda node: Regression(), tells=False)), start, 1)
    assert len(guard.verdict.participants) == 10
