"""The folder of a run: its plan, what it told, its checkpoints and its results; nothing is kept elsewhere."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from llmasos import paths
from llmasos.federated.events import RUN_EVENT, Forecast, RunEvent
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError
from llmasos.federated.schema import Schema


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
    def make(cls, root: Path, plan: Plan | None = None) -> RunFolder:
        """Make the folder of a new run.

        Args:
            root: The folder of all runs.
            plan: What the run will do; None when it is made after the data is in the folder.
        """
        folder = cls(paths.private_dir(paths.private_dir(root) / f"f-{secrets.token_hex(6)}"))
        if plan is not None:
            folder.plan = plan
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
        try:
            return Plan.model_validate_json(self._text("plan.json"))
        except ValidationError:
            raise FederatedError(
                f"The plan of the run {self.id} is damaged.",
                hint=f"Remove the run with: llmasos federated remove {self.id}",
            ) from None

    @plan.setter
    def plan(self, plan: Plan) -> None:
        write_whole(self.path / "plan.json", plan.model_dump_json(indent=1))

    @property
    def schema(self) -> Schema | None:
        """What the clients agreed on; None before they were asked."""
        return Schema.model_validate_json(self._text("schema.json")) if self._has("schema.json") else None

    @schema.setter
    def schema(self, schema: Schema) -> None:
        write_whole(self.path / "schema.json", schema.model_dump_json())

    @property
    def forecast(self) -> Forecast | None:
        """What the run was expected to take; None before it was prepared."""
        if not self._has("forecast.json"):
            return None
        return Forecast.model_validate_json(self._text("forecast.json"))

    @forecast.setter
    def forecast(self, forecast: Forecast) -> None:
        write_whole(self.path / "forecast.json", forecast.model_dump_json())

    def tell(self, *events: RunEvent) -> None:
        """Keep events; they are on the disk when this returns."""
        with self.events_file.open("ab+") as file:
            # A line that a crash has cut stays alone.
            file.seek(max(0, file.tell() - 1))
            cut = file.read(1) not in (b"", b"\n")
            lines = [event.model_dump_json().encode() + b"\n" for event in events]
            file.write(b"\n" * cut + b"".join(lines))
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
        write_whole(self.path / "recorded", str(place))

    @property
    def owner(self) -> str:
        """The key of the program that began the run; empty for this machine's own user."""
        return self._text("owner") if self._has("owner") else ""

    @owner.setter
    def owner(self, key: str) -> None:
        write_whole(self.path / "owner", key)

    def checkpoints(self) -> list[Path]:
        """Return the files of the checkpoints, the oldest first."""
        return sorted(self.path.glob("round-*.safetensors"))

    def _has(self, name: str) -> bool:
        return (self.path / name).exists()

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text("utf-8")
        except OSError as error:
            raise FederatedError(
                f"The run {self.id} cannot be read: {name}: {error.strerror}.",
                hint="List the runs with: llmasos federated list",
            ) from error


def write_whole(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
