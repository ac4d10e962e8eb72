"""Examples: a client's rows under the schema, parted into those to train on and those held out."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from llmasos.federated.data.files import shown
from llmasos.federated.dataset import Dataset, Examples
from llmasos.federated.port import DataError
from llmasos.federated.schema import Schema

_PART = 1 << 20


def prepare(
    dataset: Dataset, schema: Schema, *, holdout: float, seed: int, client: str
) -> tuple[Examples, Examples]:
    """Return a client's rows to train on, and those it holds out, of every class alike as far as that goes.

    Args:
        holdout: The share that is held out; at least one row is on each side.
        seed: Decides, with the client's name, which rows are held out.

    Raises:
        DataError: The rows are other than those that the clients agreed on, or there is only one.
    """
    name = shown(client)
    if len(dataset) < 2:
        raise DataError(
            f"Client {name} has {len(dataset)} rows; 2 are needed.",
            hint="Give it more rows, or leave it out.",
        )
    labels = _places(dataset, schema, name)
    own = int.from_bytes(hashlib.sha256(client.encode(errors="surrogatepass")).digest()[:8])
    held = _held_out(labels, holdout, np.random.default_rng([seed, own]))
    train, kept = (
        Examples(_inputs(dataset, rows, schema, name), labels[rows])
        for rows in (np.flatnonzero(~held), np.flatnonzero(held))
    )
    return train, kept


def _places(dataset: Dataset, schema: Schema, name: str) -> npt.NDArray[np.int64]:
    """Return each label's place among the schema's classes."""
    if not schema.classes:
        return np.zeros(len(dataset), np.int64)
    own, codes = np.unique(dataset.labels, return_inverse=True)
    places = {label: place for place, label in enumerate(schema.classes)}
    if unknown := [label for label in own.tolist() if label not in places]:
        raise _changed(name, f"a class {shown(*unknown)} that no client spoke of")
    return np.array([places[label] for label in own.tolist()], np.int64)[codes]


def _inputs(dataset: Dataset, rows: npt.NDArray[np.intp], schema: Schema, name: str) -> npt.NDArray[Any]:
    """Return some rows' inputs, with a table's columns standardised and in the schema's order."""
    if dataset.kind != schema.kind:
        raise _changed(name, f"{dataset.kind} in place of {schema.kind}")
    if dataset.kind == "images" and dataset.inputs.shape[1:] != schema.shape:
        raise _changed(name, f"images of the shape {dataset.inputs.shape[1:]}")
    if dataset.kind != "table":
        return dataset.inputs[rows]
    places = {column: place for place, column in enumerate(schema.columns)}
    if unknown := [column for column in dataset.columns if column not in places]:
        raise _changed(name, f"columns {shown(*unknown)} that no client spoke of")
    absent = set(schema.columns) - set(dataset.columns)
    if lost := [column for column in absent if "=" not in column]:
        raise _changed(name, f"no columns {shown(*sorted(lost))} any more")
    mean, scale = np.array(schema.mean), np.array(schema.scale)
    to = [places[column] for column in dataset.columns]
    # A word that the client does not have is 0 in all rows, before it is standardised like the others.
    inputs = np.empty((len(rows), len(mean)), np.float32)
    inputs[:] = -mean / scale
    step = max(1, _PART // max(1, len(mean)))
    for start in range(0, len(inputs), step):
        part = slice(start, start + step)
        inputs[part, to] = (dataset.inputs[rows[part]] - mean[to]) / scale[to]
    return inputs


def _changed(name: str, what: str) -> DataError:
    return DataError(
        f"Client {name} has {what}: its data changed since the clients agreed.", hint="Start the run anew."
    )


def _held_out(
    labels: npt.NDArray[np.int64], holdout: float, draw: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which rows are held out: each class's share, by largest remainders."""
    rows = len(labels)
    most = min(max(round(rows * holdout), 1), rows - 1)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    exact = counts * most / rows
    take = np.floor(exact).astype(np.int64)
    # A class of which nothing would be left to train on gives last.
    order = np.lexsort((draw.permutation(len(classes)), take - exact, take + 1 >= counts))
    take[order[: most - take.sum()]] += 1
    held = np.zeros(rows, np.bool_)
    for code, number in enumerate(take):
        held[draw.permutation(np.flatnonzero(codes == code))[:number]] = True
    return held
