"""What a federated run tells: frozen events, in the order in which they happened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from llmasos.federated.plan import Plan


class Forecast(BaseModel):
    """What a run will take, as far as can be said before it starts.

    Args:
        seconds: Of the whole run.
        bytes_down: To clients, in all.
        bytes_up: From clients, in all.
        parameters: Numbers in the model.
        epsilon: Of differential privacy, after the last round; None without it.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float = Field(ge=0)
    bytes_down: int = Field(ge=0)
    bytes_up: int = Field(ge=0)
    parameters: int = Field(ge=0)
    epsilon: float | None = None


class RunEventBase(BaseModel):
    """What every event of a run carries: the run, and when."""

    model_config = ConfigDict(frozen=True)

    run: str
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class RunStarted(RunEventBase):
    """A run begins, or goes on after `after` rounds."""

    type: Literal["run_started"] = "run_started"
    plan: Plan
    forecast: Forecast
    after: int = 0


class ClientJoined(RunEventBase):
    """A client is there, with so many rows."""

    type: Literal["client_joined"] = "client_joined"
    client: str
    samples: int


class ClientFailed(RunEventBase):
    """A client gave no update: it raised, died, was cut off, or took too long."""

    type: Literal["client_failed"] = "client_failed"
    round: int
    client: str
    reason: str


class UpdateRejected(RunEventBase):
    """A client's update does not count: not finite, of a wrong shape, or out of norm."""

    type: Literal["update_rejected"] = "update_rejected"
    round: int
    client: str
    reason: str


class Participant(BaseModel):
    """A client whose update is in a round's model."""

    model_config = ConfigDict(frozen=True)

    client: str
    samples: int
    update_sha256: str = ""


class Refused(BaseModel):
    """A client that was asked in a round and whose update is not in its model, and why."""

    model_config = ConfigDict(frozen=True)

    client: str
    reason: str


class RoundEnded(RunEventBase):
    """A round is over.

    Args:
        participants: Whose updates count; none when the quorum was missed and the model stayed as it was.
        failed: Who gave no update.
        rejected: Whose update does not count.
        loss: Of the evaluation, over all clients' rows that are held out.
        accuracy: Of the evaluation, from 0 to 1.
        weights_sha256: Of the model after the round, as `weights_sha256` of this package computes it.
        epsilon: Of differential privacy, spent so far.
    """

    type: Literal["round_ended"] = "round_ended"
    round: int
    participants: tuple[Participant, ...]
    failed: tuple[Refused, ...] = ()
    rejected: tuple[Refused, ...] = ()
    train_loss: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    weights_sha256: str
    bytes_down: int = 0
    bytes_up: int = 0
    seconds: float = 0.0
    epsilon: float | None = None


EndState = Literal["completed", "target", "stopped", "failed"]


class RunEnded(RunEventBase):
    """A run is over: all rounds are done, the target is reached, somebody stopped it, or it cannot go on."""

    type: Literal["run_ended"] = "run_ended"
    state: EndState
    rounds: int
    reason: str = ""
    weights_sha256: str = ""


RunEvent = Annotated[
    RunStarted | ClientJoined | ClientFailed | UpdateRejected | RoundEnded | RunEnded,
    Field(discriminator="type"),
]
RUN_EVENT: TypeAdapter[RunEvent] = TypeAdapter(RunEvent)
