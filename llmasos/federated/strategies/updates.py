"""What clients send back, read with distrust: whole, finite and of the right shapes, or refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict

from llmasos.federated.messages import SAMPLES, said, unpacked
from llmasos.federated.weights import Weights, weights_sha256

_Record = TypeVar("_Record", ArrayRecord, MetricRecord)

_FRAME = 1024
"""Bytes that an array's own header may take."""


class Unfit(Exception):
    """Why a client's reply does not count."""


@dataclass(frozen=True)
class Update:
    """A client's part in a round.

    Args:
        samples: How many rows it trained on.
        arrays: Its weights, of the model's types.
        metrics: What else it measured.
        sha256: Of its weights as they came.
        norm: Of the difference to what it was sent, over all arrays of floats.
    """

    node: int
    client: str
    samples: int
    arrays: Weights
    metrics: dict[str, float]
    sha256: str
    norm: float


def read_metrics(reply: Message, most: int | None = None) -> tuple[int, dict[str, float]]:
    """Return the number of samples and the other metrics of a reply.

    Raises:
        Unfit: There is not one set of metrics, one is not finite, or the samples are no positive integer or
            more than the client has.
    """
    records = _records(reply, MetricRecord)
    if len(records) != 1:
        raise Unfit(f"it sent {len(records)} sets of metrics, and one is meant")
    metrics = {name: value for name, value in records[0].items() if not isinstance(value, list)}
    samples = metrics.pop(SAMPLES, None)
    if type(samples) is not int or samples < 1:
        raise Unfit(f"its number of samples is {samples!r}, which is no positive integer")
    if most is not None and samples > most:
        raise Unfit(f"it counts {samples} samples, and has {most}")
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Unfit(f"its metric {said(name)} is {value}")
    return samples, {name: float(value) for name, value in metrics.items()}


def _records(reply: Message, kind: type[_Record]) -> list[_Record]:
    held = reply.content.values() if reply.has_content() else []
    return [record for record in held if isinstance(record, kind)]


def read_arrays(record: ArrayRecord, reference: Mapping[str, npt.NDArray[Any]]) -> Weights:
    """Return the arrays of a record, in the reference's order.

    Raises:
        Unfit: One is missing, extra, unreadable, or of another shape or type.
    """
    if missing := [name for name in reference if name not in record]:
        raise Unfit(f"its update lacks {missing[0]}")
    if extra := [name for name in record if name not in reference]:
        raise Unfit(f"its update has {said(extra[0])}, which the model has not")
    arrays: Weights = {}
    for name, like in reference.items():
        if len(record[name].data) > like.nbytes + _FRAME:
            raise Unfit(f"its {name} is larger than the model's")
        try:
            array = unpacked(record[name])
        except ValueError as error:
            raise Unfit(f"its {name} cannot be read") from error
        if not isinstance(array, np.ndarray):
            raise Unfit(f"its {name} is no array")
        if array.shape != like.shape:
            raise Unfit(f"its {name} has the shape {array.shape} and not {like.shape}")
        if array.dtype != like.dtype:
            raise Unfit(f"its {name} is of type {array.dtype} and not {like.dtype}")
        arrays[name] = array
    return arrays


def read_update(
    reply: Message, client: str, reference: Mapping[str, npt.NDArray[Any]], most: int | None = None
) -> Update:
    """Return the update in a train message's reply.

    Args:
        client: Whose it is.
        reference: The weights that it was sent.
        most: How many samples the client has, where that is known.

    Raises:
        Unfit: It does not count.
    """
    samples, metrics = read_metrics(reply, most)
    records = _records(reply, ArrayRecord)
    if len(records) != 1:
        raise Unfit(f"it sent {len(records)} sets of weights, and one is meant")
    arrays = read_arrays(records[0], reference)
    norm = distance(arrays, reference)
    if not math.isfinite(norm):
        broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        raise Unfit(f"its {broken[0]} is not finite" if broken else "the norm of its update is not finite")
    return Update(reply.metadata.src_node_id, client, samples, arrays, metrics, weights_sha256(arrays), norm)


def distance(arrays: Mapping[str, npt.NDArray[Any]], reference: Mapping[str, npt.NDArray[Any]]) -> float:
    """Return the Euclidean norm of a difference of weights in float64; counters do not count."""
    squares = []
    with np.errstate(all="ignore"):
        for name, like in reference.items():
            if like.dtype.kind == "f":
                apart = np.subtract(arrays[name], like, dtype=np.float64).ravel()
                squares.append(float(apart @ apart))
    return math.sqrt(sum(squares))


def as_types(arrays: Mapping[str, npt.NDArray[Any]], reference: Mapping[str, npt.NDArray[Any]]) -> Weights:
    """Return arrays in the reference's types and order; integers are rounded half to even."""
    return {name: _as_type(np.asarray(arrays[name]), like.dtype) for name, like in reference.items()}


def _as_type(array: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if array.dtype == dtype or dtype.kind not in "iu":
        with np.errstate(over="ignore"):
            return (np.rint(array) if dtype.kind == "b" else array).astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    low, high = float(limits.min), float(limits.max)
    # The largest int64 is no float64, and the next one above does not fit.
    high = high if high <= limits.max else math.nextafter(high, 0)
    return np.clip(np.rint(array.astype(np.float64)), low, high).astype(dtype)


class _Exact(Array):  # type: ignore[misc, unused-ignore]
    """An array in float64 that a strategy reads as it is, without its being written and parsed again."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        # Past Flower's own ways to make one, whose checks cost more than the array.
        self.__dict__.update(dtype="float64", shape=array.shape, stype="numpy.ndarray", data=b"")
        self.__dict__["_array"] = array.astype(np.float64)

    def numpy(self) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = self.__dict__["_array"]
        return array


def as_replies(updates: Sequence[Update], arrays_key: str, samples_key: str) -> list[Message]:
    """Return updates as replies that any strategy takes: in float64, with the metrics that all have."""
    common = set.intersection(*(set(update.metrics) for update in updates)) if updates else set()
    replies = []
    for update in updates:
        exact = ArrayRecord()
        for name, array in update.arrays.items():
            exact[name] = _Exact(array)
        metrics = MetricRecord({samples_key: update.samples})
        metrics.update({name: update.metrics[name] for name in sorted(common - {samples_key})})
        request = Message(RecordDict(), dst_node_id=update.node, message_type="train")
        replies.append(Message(RecordDict({arrays_key: exact, "metrics": metrics}), reply_to=request))
    return replies


def mean(values: Sequence[tuple[int, float]]) -> float | None:
    """Return the mean of some numbers by their weights; None for none."""
    total = sum(weight for weight, _ in values)
    return math.fsum(weight * value for weight, value in values) / total if total else None


def typical(norms: Sequence[float]) -> float | None:
    """Return the median of the norms that are not zero, or None without any."""
    moving = [norm for norm in norms if norm > 0]
    return float(np.median(moving)) if moving else None
