"""The port of federated training: a run is started, followed, cancelled and resumed, wherever it runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from llmasos.errors import LLMasOSError
from llmasos.federated.events import Forecast, RunEvent
from llmasos.federated.plan import Plan
from llmasos.federated.schema import Schema


class FederatedError(LLMasOSError):
    """A training that cannot start or go on."""

    code = "federated"


class WrongValue(FederatedError):
    """A value that one part of a request cannot have."""

    code = "value"


class UnknownRun(FederatedError):
    """There is no such run."""

    code = "unknown"


class DataError(FederatedError):
    """A data set that cannot be trained on."""


State = Literal["planned", "running", "completed", "target", "stopped", "failed", "interrupted"]


class RunStatus(BaseModel):
    """A run as lists show it.

    Args:
        state: `interrupted` when its process ended without saying why; it can be resumed.
        round: How many rounds are done.
        reason: Why it ended, where that is not plain.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    plan: Plan
    state: State
    round: int = 0
    loss: float | None = None
    accuracy: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""


class Prepared(BaseModel):
    """A training that can be started.

    Args:
        id: What it is started by.
        plan: All that was decided, with the recipe that suits the data.
        schema_: What the clients agreed on.
        forecast: What it will take.
    """

    model_config = ConfigDict(frozen=True)

    id: str = ""
    plan: Plan
    schema_: Schema = Field(alias="schema")
    forecast: Forecast


class FederatedRun(Protocol):
    """One training."""

    @property
    def id(self) -> str:
        """What it is asked for by."""

    @property
    def folder(self) -> Path:
        """Where everything of it is kept; nothing is written elsewhere."""

    async def start(self) -> None:
        """Begin, or go on from the newest checkpoint.

        Raises:
            FederatedError: It cannot begin, or runs already.
        """

    def events(self, after: int = 0) -> AsyncGenerator[RunEvent]:
        """Yield what happened from the event after the first `after` ones on, until the run has ended."""

    async def cancel(self) -> None:
        """Stop it, with every process of it; what the last checkpoint holds stays."""

    def status(self) -> RunStatus:
        """Return how it stands."""

    def checkpoint(self) -> Path | None:
        """Return the newest checkpoint's file."""
