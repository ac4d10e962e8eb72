"""The folder of a run: its plan, what it told, its checkpoints and its results; nothing is kept elsewhere."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmasos import paths
from llmasos.federated.dataset import Schema
from llmasos.federated.events import RUN_EVENT, RunEvent
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError
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


class RunFolder:
    """One run's files.

    Args:
        path: The folder; its name is the run's id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.events_file = path / "events.jsonl"
        self.log_file = path / "log.txt"
        self.results = path / "results"

    @classmethod
    def make(cls, root: Path, plan: Plan) -> RunFolder:
        """Make the folder of a new run.

        Args:
            root: The folder of all runs.
            plan: What the run will do.
        """
        folder = cls(paths.private_dir(paths.private_dir(root) / f"f-{secrets.token_hex(6)}"))
        _write(folder.path / "plan.json", plan.model_dump_json(indent=1))
        return folder

    @classmethod
    def all(cls, root: Path) -> list[RunFolder]:
        """Return the folders of all runs, the oldest first."""
        found = [path for path in root.glob("f-*") if (path / "plan.json").exists()]
        return [cls(path) for path in sorted(found, key=lambda path: (path / "plan.json").stat().st_mtime_ns)]

    @property
    def plan(self) -> Plan:
        """What the run does.

        Raises:
            FederatedError: The file is not there or damaged.
        """
        return Plan.model_validate_json(self._text("plan.json"))

    @property
    def schema(self) -> Schema | None:
        """What the clients agreed on; None before they were asked."""
        return Schema.model_validate_json(self._text("schema.json")) if self._has("schema.json") else None

    @schema.setter
    def schema(self, schema: Schema) -> None:
        _write(self.path / "schema.json", schema.model_dump_json())

    def tell(self, event: RunEvent) -> None:
        """Keep an event; it is on the disk when this returns."""
        with self.events_file.open("ab+") as file:
            # A line that a crash has cut stays alone.
            file.seek(max(0, file.tell() - 1))
            cut = file.read(1) not in (b"", b"\n")
            file.write(b"\n" * cut + event.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def told(self, start: int = 0) -> Iterator[tuple[RunEvent, int]]:
        """Yield the events that were kept, each with the place in bytes where the next one begins.

        A line that was cut by a crash is left out.

        Args:
            start: The place to begin at.
        """
        try:
            with self.events_file.open("rb") as file:
                file.seek(start)
                for line in file:
                    start += len(line)
                    if line.endswith(b"\n"):
                        with suppress(ValidationError):
                            yield RUN_EVENT.validate_json(line), start
        except FileNotFoundError:
            return

    @property
    def recorded(self) -> int:
        """Up to which place in bytes the events are in the ledger."""
        return int(self._text("recorded")) if self._has("recorded") else 0

    @recorded.setter
    def recorded(self, place: int) -> None:
        _write(self.path / "recorded", str(place))

    def keep(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, whole or not at all, and drop those before the last one."""
        arrays = {f"{_MODEL}{name}": array for name, array in checkpoint.weights.items()}
        arrays |= {f"{_STATE}{name}": array for name, array in checkpoint.arrays.items()}
        place = self.path / f"round-{checkpoint.round:06d}"
        # The facts come first: a checkpoint is there when its arrays are.
        _write(place.with_suffix(".json"), json.dumps(checkpoint.facts))
        save_weights(place.with_suffix(".safetensors"), arrays)
        for old in self.checkpoints()[:-_KEPT]:
            old.unlink(missing_ok=True)
            old.with_suffix(".json").unlink(missing_ok=True)
        return place.with_suffix(".safetensors")

    def checkpoints(self) -> list[Path]:
        """Return the files of the checkpoints, the oldest first."""
        return sorted(self.path.glob("round-*.safetensors"))

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that can be read."""
        for path in reversed(self.checkpoints()):
            try:
                arrays = load_weights(path)
                facts = json.loads(path.with_suffix(".json").read_text())
            except (OSError, ValueError):
                continue
            return Checkpoint(
                int(path.stem.removeprefix("round-")), _under(arrays, _MODEL), _under(arrays, _STATE), facts
            )
        return None

    def _has(self, name: str) -> bool:
        return (self.path / name).exists()

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except OSError as error:
            raise FederatedError(
                f"The run {self.id} cannot be read: {name}: {error.strerror}.",
                hint="List the runs with: llmasos federated list",
            ) from error


def _under(arrays: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
