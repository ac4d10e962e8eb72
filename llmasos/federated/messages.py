"""What clients and the server call things in their messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord

from llmasos.federated.weights import Weights

SAMPLES = "num-examples"
"""The metric that says how many rows a client trained or evaluated on."""
LOSS = "loss"
"""The metric that says the mean loss a row."""
PROXIMAL = "proximal-mu"
"""The weight of the proximal term: in the configuration what is asked, in the metrics what was used."""

_SAID = 200
"""Characters of a client's words that are passed on."""


def record_of(arrays: Mapping[str, npt.NDArray[Any]]) -> ArrayRecord:
    """Return arrays as Flower sends them."""
    return ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in arrays.items()})


def weights_of(record: ArrayRecord) -> Weights:
    """Return Flower's arrays as ours."""
    return {name: array.numpy() for name, array in record.items()}


def said(reason: str | None) -> str:
    """Return a client's words as one short line that holds nothing but text."""
    lines = [line.strip() for line in (reason or "").splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    return "".join(letter if letter.isprintable() else "?" for letter in last)[:_SAID]
