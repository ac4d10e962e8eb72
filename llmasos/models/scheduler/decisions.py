"""What the state machine decides: the effects that the loop carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Start:
    """Give the job to its engine, with the tokens that it has."""

    job: int


@dataclass(frozen=True, slots=True)
class Preempt:
    """Stop the job in its engine and keep its tokens; it waits again when `Stopped` comes."""

    job: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the job in its engine for good; answered by `Stopped`.

    A job whose `Preempt` was not answered yet may get one, and then one `Stopped` answers both. It comes
    because the job was cancelled, or because its time is over.
    """

    job: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The job ends without a reply.

    Args:
        job: The job.
        status: 400 when it can never run, 429 when its session has too many waiting, 503 when all have
            or the model cannot be loaded, 504 when its time is over.
        reason: What a person is told.
        retry_after: Seconds after which it may work; None where trying again does not help.
    """

    job: int
    status: Literal[400, 429, 503, 504]
    reason: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Load the model on its device, from the host's memory when it is parked there."""

    model: str
    from_host: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """Move the model to the host's memory; answered by `Parked`, or by `Unloaded` when that failed."""

    model: str


@dataclass(frozen=True, slots=True)
class Unload:
    """Free the model, wherever it lies; answered by `Unloaded`.

    Args:
        model: The model.
        evicted: Whether others take its room; it only informs.
    """

    model: str
    evicted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Wake:
    """Send a `Tick` at this time, if nothing else happens before; each decision says it anew."""

    at: float


Effect = Start | Preempt | Stop | Refuse | Load | Park | Unload | Wake
