"""The same model trained centrally, to hold a federated one against; only where all rows are here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing

import numpy as np

from llmasos.federated.dataset import Examples
from llmasos.federated.local.workers import Workers
from llmasos.federated.plan import Plan
from llmasos.federated.recipes import Recipe, Work
from llmasos.federated.report import Comparison
from llmasos.federated.schema import Schema

SHORT_SECONDS, LONG_SECONDS = 10.0, 60.0
"""A comparison may take as long as the rounds did, within these."""


def passes(plan: Plan, rounds: int) -> int:
    """Return how many passes over all rows make as much work as the clients did: at least one."""
    return max(1, round(rounds * plan.training.epochs * plan.sampled / plan.clients))


def pooled(parts: Iterable[Examples]) -> Examples:
    """Return the rows of all clients as one."""
    parts = list(parts)
    return Examples(
        np.concatenate([one.inputs for one in parts]), np.concatenate([one.labels for one in parts])
    )


def train_centrally(
    recipe: Recipe,
    plan: Plan,
    schema: Schema,
    rounds: int,
    parts: Iterable[tuple[Examples, Examples]],
) -> Comparison:
    """Train from the same first weights on all clients' rows, and evaluate on those that they hold out.

    Args:
        rounds: How many rounds the federated training had.
        parts: Each client's rows to train on, and those it holds out.
    """
    trained, held = map(pooled, zip(*parts, strict=True))
    work = Work(
        epochs=passes(plan, rounds),
        batch=plan.training.batch,
        learning_rate=plan.training.learning_rate,
        seed=plan.seed,
    )
    began = time.monotonic()
    weights = recipe.initial(schema, plan.options, plan.seed)
    weights, _ = recipe.train(weights, trained, work, schema, plan.options)
    took = time.monotonic() - began
    score = recipe.evaluate(weights, held, schema, plan.options)
    return Comparison(
        passes=work.epochs,
        rows=len(trained),
        held=len(held),
        loss=score.loss,
        accuracy=score.accuracy,
        seconds=took,
    )


def bounded(work: Callable[[], Comparison], seconds: float) -> Comparison:
    """Return a comparison, made in a process of its own, or why it was not made in the time there is."""
    with closing(Workers(lambda _: work(), 1)) as workers:
        ((_, answer),) = workers.run([None], seconds)
    if answer.late:
        return Comparison(missing=f"it would have taken more than {seconds:.0f} seconds")
    if answer.failure:
        return Comparison(missing=f"the process that made it failed: {answer.failure}")
    assert isinstance(answer.value, Comparison)
    return answer.value
