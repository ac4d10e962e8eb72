"""A plan as a stock Flower app, with the same recipe on the same rows: what `flwr run` runs in the benchmark.

BENCH_PLAN names the file of the plan, and BENCH_TIMES the one that gets a line after each round.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from llmasos.federated.data import Deal, agree, prepare, survey
from llmasos.federated.dataset import Examples
from llmasos.federated.plan import Plan, names_of
from llmasos.federated.recipes import Work, recipe
from llmasos.federated.schema import Schema
from llmasos.federated.weights import Weights

client = ClientApp()
server = ServerApp()


@cache
def plan() -> Plan:
    """Return what is trained."""
    return Plan.model_validate_json(Path(os.environ["BENCH_PLAN"]).read_text())


@cache
def parts() -> tuple[Schema, list[tuple[Examples, Examples]]]:
    """Return what the clients agree on, and the rows of each to train on and to evaluate on."""
    deal, names = Deal(plan().data, plan().clients, plan().seed), names_of(plan())
    rows = [deal.rows(place) for place in range(plan().clients)]
    schema = agree([survey(name, one) for name, one in zip(names, rows, strict=True)])
    return schema, [
        prepare(one, schema, holdout=plan().data.holdout, seed=plan().seed, client=name)
        for name, one in zip(names, rows, strict=True)
    ]


def arrays(record: ArrayRecord) -> Weights:
    """Return weights that have travelled."""
    return {name: array.numpy() for name, array in record.items()}


def record(weights: Weights) -> ArrayRecord:
    """Return weights as they travel."""
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


@client.train()
def train(message: Message, context: Context) -> Message:
    """Train on a client's rows."""
    schema, made = parts()
    examples, _ = made[int(context.node_config["partition-id"])]
    asked = plan().training
    work = Work(epochs=asked.epochs, batch=asked.batch, learning_rate=asked.learning_rate)
    received = message.content["arrays"]
    assert isinstance(received, ArrayRecord)
    sent = arrays(received)
    trained, loss = recipe(plan().recipe).train(sent, examples, work, schema, plan().options)
    metrics = MetricRecord({"num-examples": len(examples), "loss": loss})
    return Message(RecordDict({"arrays": record(trained), "metrics": metrics}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Train, and evaluate after each round on the rows that the clients hold out."""
    schema, made = parts()
    held = [one for _, one in made]
    pooled = Examples(
        np.concatenate([one.inputs for one in held]), np.concatenate([one.labels for one in held])
    )

    def evaluate(number: int, model: ArrayRecord) -> MetricRecord:
        score = recipe(plan().recipe).evaluate(arrays(model), pooled, schema, plan().options)
        with Path(os.environ["BENCH_TIMES"]).open("a") as file:
            file.write(f"{number} {time.time()} {score.accuracy}\n")
        return MetricRecord({"accuracy": score.accuracy})

    first = recipe(plan().recipe).initial(schema, plan().options, plan().seed)
    strategy = FedAvg(fraction_train=plan().sample, fraction_evaluate=0.0)
    strategy.start(grid, record(first), num_rounds=plan().rounds, evaluate_fn=evaluate)
