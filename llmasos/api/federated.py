"""Federated training on the wire: what is asked for and planned, how a run stands, and what it tells."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llmasos.api.wire import Wire

RunState = Literal["planned", "running", "completed", "target", "stopped", "failed", "interrupted"]


class TrainingRequest(BaseModel):
    """A training that is asked for; what is left out gets a default.

    The other fields are those of `llmasos federated run`, such as `rounds`, `strategy` and `mu`.

    Args:
        data: Absolute paths or built-in names: one for each client, or one that is dealt to all.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    data: tuple[str, ...] = Field(min_length=1)


class RunForecast(Wire):
    """What a training will take; the bytes to and from clients are those of all rounds."""

    seconds: float
    bytes_down: int
    bytes_up: int
    parameters: int
    epsilon: float | None = None


class RunPlanned(Wire):
    """A training that can be started.

    Args:
        id: What it is started by.
        plan: All that was decided.
        plan_sha256: Of the plan, as the ledger will hold it.
        defaulted: What was not asked for, and what it became.
        rows: How many rows each client has, by its name.
        forecast: What it will take.
        summary: All of this in words.
    """

    id: str
    plan: dict[str, Any]
    plan_sha256: str
    defaulted: tuple[str, ...] = ()
    rows: dict[str, int] = Field(default_factory=dict)
    forecast: RunForecast
    summary: tuple[str, ...] = ()


class RunInfo(Wire):
    """A training as lists show it.

    Args:
        state: `interrupted` when its process ended without saying why; it can be resumed.
        round: How many rounds are done, of `rounds`.
        reason: Why it ended, where that is not plain.
    """

    id: str
    name: str
    state: RunState
    recipe: str
    strategy: str
    clients: int
    backend: str
    data: tuple[str, ...] = ()
    round: int = 0
    rounds: int = 0
    target: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""


class RunPart(Wire):
    """A client's part in a round: its rows and the hash of its update, or why its update is missing."""

    client: str
    samples: int = 0
    update_sha256: str = ""
    reason: str = ""


class RunStep(BaseModel):
    """One thing that a training tells; what its type does not have is left at its default.

    Args:
        number: Its place among all that the training told, from 1.
        type: `run_started`, `client_joined`, `client_failed`, `update_rejected`, `round_ended`, `run_ended`.
        weights_sha256: Of the model after the round, or at the end.
        epsilon: Of differential privacy, spent so far.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    type: str
    run: str
    at: datetime
    round: int = 0
    rounds: int = 0
    after: int = 0
    client: str = ""
    samples: int = 0
    participants: tuple[RunPart, ...] = ()
    failed: tuple[RunPart, ...] = ()
    rejected: tuple[RunPart, ...] = ()
    train_loss: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    epsilon: float | None = None
    bytes_down: int = 0
    bytes_up: int = 0
    seconds: float = 0.0
    state: str = ""
    reason: str = ""
    weights_sha256: str = ""


class RunVerified(Wire):
    """Whether a training's model is the one that its last round's record names.

    Args:
        record: The number of that record; 0 when there is none.
        recorded: The model's SHA-256 in the record.
        found: The SHA-256 of the model among the results, computed anew.
    """

    ok: bool
    message: str
    record: int = 0
    recorded: str = ""
    found: str = ""


class ExportRequest(Wire):
    """The folder that a training's results are copied to; it is not there yet."""

    folder: str


class Exported(Wire):
    """The files that were written."""

    files: tuple[str, ...]
