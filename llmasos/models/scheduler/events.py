"""What happens to jobs and models: the events that the state machine is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmasos.models.scheduler.types import Ask, Card, Job


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job arrived."""

    job: Job


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody wants the job's reply any more; one that has no slot is forgotten without an effect."""

    job: int


@dataclass(frozen=True, slots=True)
class Produced:
    """Tokens were written since the last report, by job."""

    tokens: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Ended:
    """The job's stream ended, whole or with an error, and its slot is free."""

    job: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job was stopped in its engine, as `Preempt` or `Stop` demanded, and its slot is free."""

    job: int


@dataclass(frozen=True, slots=True)
class Declined:
    """The job cannot be stopped for a while, as `Preempt` demanded, and runs on to its end."""

    job: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """The job's reader does not keep up, and what it was sent waits."""

    job: int


@dataclass(frozen=True, slots=True)
class Drained:
    """The reader of a stalled job has caught up."""

    job: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A model can be asked from now on, or its card changed."""

    card: Card


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model is resident; measured bytes and seconds replace the estimates."""

    model: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A model could not be loaded; with `out_of_memory`, the device had less room than was thought.

    One that came from the host's memory is still parked there after `out_of_memory`, and lies nowhere after
    any other failure.
    """

    model: str
    reason: str
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Parked:
    """A model lies in the host's memory and has left its device."""

    model: str
    host_bytes: int


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A model left its device and the host's memory."""

    model: str


@dataclass(frozen=True, slots=True)
class Died:
    """A model's engine ended by itself; the streams of its jobs end with it."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A resident model takes this many bytes now."""

    model: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A person asks for a model to be loaded, unloaded, pinned or let go."""

    model: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event = (
    Submitted
    | Cancelled
    | Produced
    | Ended
    | Stopped
    | Declined
    | Stalled
    | Drained
    | Registered
    | Loaded
    | LoadFailed
    | Parked
    | Unloaded
    | Died
    | Measured
    | Asked
    | Tick
)
