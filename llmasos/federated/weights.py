"""A model's weights: named arrays, hashed and kept without pickles."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

_ORDER = "order"

Weights = dict[str, npt.NDArray[Any]]
"""Arrays by name, in the order in which they are sent."""


def weights_sha256(weights: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the SHA-256 over each array's name, type, shape and little-endian bytes, in their order."""
    total = hashlib.sha256()
    for name, array in weights.items():
        plain = np.asarray(array, order="C").astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(f"{name}\0{plain.dtype.str}\0{','.join(map(str, array.shape))}\0".encode())
        total.update(plain.tobytes())
    return total.hexdigest()


def save_weights(path: Path, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write weights as a safetensors file, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("wb") as file:
        # The file sorts the arrays in a way of its own.
        plain = {name: np.asarray(array, order="C") for name, array in weights.items()}
        file.write(save(plain, {_ORDER: json.dumps(list(weights))}))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def load_weights(path: Path) -> Weights:
    """Read weights; nothing in the file is run.

    Raises:
        OSError: The file cannot be read.
        ValueError: It does not hold weights.
    """
    try:
        with safe_open(path, framework="numpy") as kept:
            order = json.loads((kept.metadata() or {})[_ORDER])
            return {name: kept.get_tensor(name) for name in order}
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} does not hold weights: {error}") from error
