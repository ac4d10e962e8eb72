"""Checkpoints: after each round, all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llmasos.federated.events import RoundEnded
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
        ended: What is told of the last round, so that a crash before it was told does not lose it.
    """

    round: int
    weights: Weights
    arrays: Weights
    facts: Mapping[str, Any]
    ended: RoundEnded | None = None


def keep(folder: RunFolder, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, whole or not at all, and drop those before the last one."""
    arrays = {f"{_MODEL}{name}": array for name, array in checkpoint.weights.items()}
    arrays |= {f"{_STATE}{name}": array for name, array in checkpoint.arrays.items()}
    place = folder.path / f"round-{checkpoint.round:06d}"
    # The facts come first: a checkpoint is there when its arrays are.
    ended = checkpoint.ended and checkpoint.ended.model_dump(mode="json")
    write_whole(place.with_suffix(".json"), json.dumps({"facts": checkpoint.facts, "ended": ended}))
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
            beside = _Beside.of(path)
        except (OSError, ValueError):
            continue
        number = int(path.stem.removeprefix("round-"))
        model, state = _under(arrays, _MODEL), _under(arrays, _STATE)
        return Checkpoint(number, model, state, beside.facts, beside.ended)
    return None


def last_round(folder: RunFolder, number: int) -> RoundEnded | None:
    """Return what a round's checkpoint says is told of the round; None where there is no such checkpoint."""
    try:
        return _Beside.of(folder.path / f"round-{number:06d}").ended
    except (OSError, ValueError):
        return None


class _Beside(BaseModel):
    """What of a checkpoint is no array."""

    facts: dict[str, Any]
    ended: RoundEnded | None

    @classmethod
    def of(cls, path: Path) -> _Beside:
        # Python's own reader knows what is not finite.
        return cls.model_validate(json.loads(path.with_suffix(".json").read_text()))


def _under(arrays: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
