"""Weights are kept and hashed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmasos.federated.weights import Weights, load_weights, save_weights, weights_sha256


def test_weights_come_back_as_they_were_kept(tmp_path: Path) -> None:
    weights: Weights = {
        "layer/1.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "steps": np.array(7, dtype=np.int64),
        "names": np.zeros(0, dtype=np.float64),
    }
    save_weights(tmp_path / "w.safetensors", weights)
    kept = load_weights(tmp_path / "w.safetensors")
    assert list(kept) == list(weights)
    assert all(kept[name].dtype == weights[name].dtype for name in weights)
    assert weights_sha256(kept) == weights_sha256(weights)
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_hash_tells_names_types_shapes_and_values_apart() -> None:
    base: Any = np.zeros((2, 3), dtype=np.float32)
    others: list[Weights] = [
        {"a": base},
        {"b": base},
        {"a": base.astype(np.float64)},
        {"a": base.reshape(3, 2)},
        {"a": base + 1},
        {"a": base, "b": base},
    ]
    assert len({weights_sha256(one) for one in others}) == len(others)
    assert weights_sha256({"a": base}) == weights_sha256({"a": np.asfortranarray(base)})


def test_what_holds_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"PK something else")
    with pytest.raises(ValueError, match="does not hold weights"):
        load_weights(tmp_path / "other")
