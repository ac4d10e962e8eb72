"""Checkpoints: after each round, all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmasos.federated.folder import RunFolder, write_whole
from llmasos.federated.weights import Weights, load_weights, save_weights

_MODEL, _STATE = "model/", "state/"
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on after a round as if it had never stopped.

    Args:
        round: Rounds that are done.
        weights: The model after them.
        arrays: What the strategy keeps between rounds, such as moments.
        facts: What else it keeps, as JSON.
    """

    round: int
    weights: Weights
    arrays: Weights
    facts: Mapping[str, Any]


def keep(folder: RunFolder, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, whole or not at all, and drop those before the last one."""
    arrays = {f"{_MODEL}{name}": array for name, array in checkpoint.weights.items()}
    arrays |= {f"{_STATE}{name}": array for name, array in checkpoint.arrays.items()}
    place = folder.path / f"round-{checkpoint.round:06d}"
    # The facts come first: a checkpoint is there when its arrays are.
    write_whole(place.with_suffix(".json"), json.dumps(checkpoint.facts))
    save_weights(place.with_suffix(".safetensors"), arrays)
    for old in folder.checkpoints()[:-_KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".json").unlink(missing_ok=True)
    return place.with_suffix(".safetensors")


def newest(folder: RunFolder) -> Checkpoint | None:
    """Return the newest checkpoint that can be read."""
    for path in reversed(folder.checkpoints()):
        try:
            arrays = load_weights(path)
            facts = json.loads(path.with_suffix(".json").read_text())
        except (OSError, ValueError):
            continue
        return Checkpoint(
            int(path.stem.removeprefix("round-")), _under(arrays, _MODEL), _under(arrays, _STATE), facts
        )
    return None


def _under(arrays: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
