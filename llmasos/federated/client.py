"""The ClientApp of every backend: it surveys, trains on and evaluates on the rows of one client."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from llmasos.federated.data import prepare, survey
from llmasos.federated.dataset import Dataset, Examples
from llmasos.federated.messages import (
    ACCURACY,
    ARRAYS,
    LOSS,
    METRICS,
    PROXIMAL,
    SAMPLES,
    SURVEY,
    Task,
    config_of,
    record_of,
    task_of,
    weights_of,
)
from llmasos.federated.privacy import disguised
from llmasos.federated.proximal import honoured
from llmasos.federated.questions import no_documents
from llmasos.federated.recipes import Work
from llmasos.federated.recipes.registry import recipe
from llmasos.federated.secure import client as secure

_PREPARED = 16

Rows = Callable[[Context], tuple[str, Dataset]]
"""Returns what a node is called, and its rows, by its context."""


def client_app(rows: Rows) -> ClientApp:
    """Return the app.

    Args:
        rows: Finds a client's rows.
    """
    app = ClientApp()
    no_documents(app)
    prepared = _Prepared(rows)
    honours: dict[tuple[int, str], bool | None] = {}

    @app.query()
    def _survey(message: Message, context: Context) -> Message:
        name, dataset = rows(context)
        told = survey(name, dataset).model_dump_json()
        return Message(RecordDict({SURVEY: ConfigRecord({SURVEY: told})}), reply_to=message)

    def train(message: Message, context: Context) -> Message:
        task = task_of(message)
        examples, _ = prepared(context, task)
        chosen = recipe(task.recipe)
        weights = weights_of(message.content.array_records[ARRAYS])
        mu = config_of(message).get(PROXIMAL, 0.0)
        assert isinstance(mu, int | float)
        work = Work(
            epochs=task.epochs,
            batch=task.batch,
            learning_rate=task.learning_rate,
            proximal=float(mu),
            seed=_seed(task),
        )
        key = (context.node_id, task.recipe)
        if mu and honours.get(key) is None:
            honours[key] = honoured(chosen, examples, work, task.schema_, task.options, task.seed)
        trained, loss = chosen.train(dict(weights), examples, work, task.schema_, task.options)
        if task.privacy.kind == "local":
            trained = disguised(trained, weights, task.privacy)
        used = 0.0 if honours.get(key) is False else work.proximal
        metrics = MetricRecord({SAMPLES: len(examples), LOSS: loss, PROXIMAL: used})
        return Message(RecordDict({ARRAYS: record_of(trained), METRICS: metrics}), reply_to=message)

    app.train()(train)
    secure.register(app, train)

    @app.evaluate()
    def _evaluate(message: Message, context: Context) -> Message:
        task = task_of(message)
        _, held = prepared(context, task)
        weights = weights_of(message.content.array_records[ARRAYS])
        score = recipe(task.recipe).evaluate(weights, held, task.schema_, task.options)
        metrics = MetricRecord({SAMPLES: len(held), LOSS: score.loss, ACCURACY: score.accuracy})
        return Message(RecordDict({METRICS: metrics}), reply_to=message)

    return app


class _Prepared:
    """Keeps the rows of the clients that were asked last, ready to train on."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._kept: OrderedDict[int, tuple[tuple[Any, ...], tuple[Examples, Examples]]] = OrderedDict()

    def __call__(self, context: Context, task: Task) -> tuple[Examples, Examples]:
        key = (task.schema_, task.holdout, task.seed)
        kept = self._kept.pop(context.node_id, None)
        if kept is None or kept[0] != key:
            name, dataset = self._rows(context)
            made = prepare(dataset, task.schema_, holdout=task.holdout, seed=task.seed, client=name)
            kept = (key, made)
        self._kept[context.node_id] = kept
        while len(self._kept) > _PREPARED:
            self._kept.popitem(last=False)
        return kept[1]


def _seed(task: Task) -> int:
    """Return the seed of a client's work in a round."""
    sequence = np.random.SeedSequence([task.seed, task.round, *task.client.encode()])
    return int(sequence.generate_state(1)[0])
