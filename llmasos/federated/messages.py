"""What server and clients say to each other, in Flower's records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from pydantic import BaseModel, ConfigDict, Field

from llmasos.federated.plan import Privacy
from llmasos.federated.port import FederatedError
from llmasos.federated.schema import Schema
from llmasos.federated.weights import Weights

ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"
"""The records' keys, those that Flower's strategies have by default."""

TASK, SURVEY = "task", "survey"
SAMPLES, LOSS, ACCURACY = "num-examples", "loss", "accuracy"
"""The metrics: how many rows, the mean loss a row, and the share of rows that are right."""

PROXIMAL = "proximal-mu"
"""The weight of the proximal term: in the configuration what is asked, in the metrics what was used."""

_SAID = 200
"""Characters of a client's words that are passed on."""


class Task(BaseModel):
    """What a client needs to know beside the weights; it travels with each message.

    Args:
        client: What the client is called.
        recipe: The kind of model.
        options: The recipe's own.
        schema_: What all clients agreed on.
        holdout: The share of its rows that it only evaluates on; 0 when others hold rows out.
        epochs: Passes over its rows.
        batch: Rows a step.
        learning_rate: Of the optimizer.
        privacy: What the client hides of its update.
        seed: Of all that is drawn.
        round: Which round it is.
    """

    model_config = ConfigDict(frozen=True)

    client: str
    recipe: str
    options: dict[str, Any] = Field(default_factory=dict)
    schema_: Schema = Field(alias="schema")
    holdout: float
    epochs: int
    batch: int
    learning_rate: float
    privacy: Privacy = Privacy()
    seed: int
    round: int


def record_of(weights: Mapping[str, npt.NDArray[Any]]) -> ArrayRecord:
    """Return weights as they travel."""
    return ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in weights.items()})


def weights_of(record: ArrayRecord) -> Weights:
    """Return weights that have travelled."""
    return {name: array.numpy() for name, array in record.items()}


def bytes_of(message: Message) -> int:
    """Return how many bytes of arrays a message carries."""
    if not message.has_content():
        return 0
    return sum(
        len(array.data) for record in message.content.array_records.values() for array in record.values()
    )


def with_task(message: Message, task: Task) -> Message:
    """Return a message of a strategy's with a task in its configuration, the arrays shared."""
    content = message.content
    config = ConfigRecord(
        {**dict(content.config_records.get(CONFIG, {})), TASK: task.model_dump_json(by_alias=True)}
    )
    records: Mapping[str, Any] = {**content, CONFIG: config}
    meta = message.metadata
    return Message(
        RecordDict(dict(records)), meta.dst_node_id, meta.message_type, group_id=meta.group_id, ttl=meta.ttl
    )


def task_of(message: Message) -> Task:
    """Return the task that a message carries.

    Raises:
        FederatedError: It carries none.
    """
    config = message.content.config_records.get(CONFIG, ConfigRecord())
    text = config.get(TASK)
    if not isinstance(text, str):
        raise FederatedError("The message carries no task.", hint="Use the same version on both sides.")
    return Task.model_validate_json(text)


def config_of(message: Message) -> ConfigRecord:
    """Return a message's configuration; an empty one when it has none."""
    return message.content.config_records.get(CONFIG, ConfigRecord())


def said(reason: str | None) -> str:
    """Return a client's words as one short line that holds nothing but text."""
    lines = [line.strip() for line in (reason or "").splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    return "".join(letter if letter.isprintable() else "?" for letter in last)[:_SAID]
