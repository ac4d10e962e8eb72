"""What server and clients say to each other, in Flower's records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
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

_NUMBERS = "fiub"
_STYPE = "numpy.ndarray"
_VERSION = np.lib.format.magic(1, 0)
_LONGEST_HEADER = 256
"""Bytes of a header that is remembered."""

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
    record = ArrayRecord()
    for name, array in weights.items():
        record[name] = packed(np.asarray(array, order="C"))
    return record


def weights_of(record: ArrayRecord) -> Weights:
    """Return weights that have travelled."""
    return {name: unpacked(array) for name, array in record.items()}


def packed(array: npt.NDArray[Any]) -> Array:
    """Return what `Array(array)` does; its header, which is the same each round, is written only once."""
    if array.dtype.kind not in _NUMBERS or not array.flags.c_contiguous:
        return Array(array)
    called, header = _header(array.dtype, array.shape)
    return Array(called, array.shape, _STYPE, b"".join((header, array.data)))


def unpacked(array: Array) -> npt.NDArray[Any]:
    """Return what `array.numpy()` does; its header, which is the same each round, is read only once.

    Raises:
        ValueError: It is no array of numbers.
    """
    try:
        data = array.data
        end = len(_VERSION) + 2 + int.from_bytes(data[len(_VERSION) : len(_VERSION) + 2], "little")
        if array.stype == _STYPE and data.startswith(_VERSION) and end <= _LONGEST_HEADER:
            dtype, shape, known = _read_header(data[:end])
            if known:
                return np.ndarray(shape, dtype, data, end).copy()
        return array.numpy()
    except Exception as error:  # NumPy parses a header as Python, of which anything may come
        raise ValueError(f"it is no array: {error}") from error


@lru_cache(4096)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[str, bytes]:
    file = BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, told)
    return str(dtype), file.getvalue()


@lru_cache(4096)
def _read_header(header: bytes) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Return the type and shape that a header tells, and whether plain numbers in C's order follow it."""
    file = BytesIO(header)
    file.seek(len(_VERSION))
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    return dtype, shape, not fortran and dtype.kind in _NUMBERS


def bytes_of(message: Message) -> int:
    """Return how many bytes of arrays a message carries."""
    if not message.has_content():
        return 0
    records = [record for record in message.content.values() if isinstance(record, ArrayRecord)]
    return sum(len(array.data) for record in records for array in record.values())


def with_task(message: Message, task: Task) -> Message:
    """Return a message of a strategy's with a task in its configuration, the arrays shared."""
    content = message.content
    config = ConfigRecord({**config_of(message), TASK: task.model_dump_json(by_alias=True)})
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
    text = config_of(message).get(TASK)
    if not isinstance(text, str):
        raise FederatedError("The message carries no task.", hint="Use the same version on both sides.")
    return Task.model_validate_json(text)


def config_of(message: Message) -> ConfigRecord:
    """Return a message's configuration; an empty one when it has none."""
    # Flower's `config_records` makes a dictionary of its own each time.
    found = message.content.get(CONFIG)
    return found if isinstance(found, ConfigRecord) else ConfigRecord()


def said(reason: str | None) -> str:
    """Return a client's words as one short line that holds nothing but text."""
    lines = [line.strip() for line in (reason or "").splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    return "".join(letter if letter.isprintable() else "?" for letter in last)[:_SAID]
