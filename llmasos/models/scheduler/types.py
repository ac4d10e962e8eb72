"""What the scheduler is told and what it decides: clients, jobs, cards, events and effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from llmasos.errors import ModelError
from llmasos.models.engines.port import TokenUsage

Band = Literal["interactive", "normal", "batch"]
"""A person waits; a program waits; nobody waits."""

Ask = Literal["load", "unload", "pin", "unpin"]


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks a model.

    Args:
        session: What shares one part of the models; child agents use their parent's.
        band: How urgent it is.
        weight: Its part, compared with others of 1.
        seconds: Time until the reply must have ended; None is for ever.
        tenant: Computed prompts are shared only within a tenant.
        used: Told what each job used that an engine began, when it ends or is left.
    """

    session: str = ""
    band: Band = "normal"
    weight: float = 1.0
    seconds: float | None = None
    tenant: str = ""
    used: Callable[[TokenUsage], None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """One request to a model.

    Args:
        id: Unique for ever; rises with time.
        model: The model's name.
        client: Who asks.
        prompt_tokens: Tokens to read.
        max_tokens: Tokens to write at most.
        preemptible: Whether it may be stopped and go on later.
    """

    id: int
    model: str
    client: Client
    prompt_tokens: int
    max_tokens: int
    preemptible: bool = True


@dataclass(frozen=True, slots=True)
class Card:
    """What the scheduler knows of a model before it is loaded.

    Args:
        model: Its name.
        device: The device it is loaded on.
        bytes: Its estimated size there; corrected by measurement.
        host_bytes: Its size when parked in the host's memory; 0 when it cannot be parked.
        context: Tokens of prompt and reply of one request.
        slots: Requests that run at once.
        load_seconds: Time of a cold load, estimated; corrected by measurement.
        keep_alive: Seconds after its last use that it stays; None is for ever, as memory allows.
        pinned: Never evicted to make room.
    """

    model: str
    device: str
    bytes: int
    host_bytes: int = 0
    context: int = 8192
    slots: int = 1
    load_seconds: float = 1.0
    keep_alive: float | None = None
    pinned: bool = False


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
    """Free the model, wherever it lies; answered by `Unloaded`."""

    model: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Send a `Tick` at this time, if nothing else happens before; each decision says it anew."""

    at: float


Effect = Start | Preempt | Stop | Refuse | Load | Park | Unload | Wake


@dataclass(frozen=True, slots=True)
class Rules:
    """How models are shared.

    Args:
        budgets: Bytes that models may take, by device.
        host_budget: Bytes that parked models may take in the host's memory.
        session_queue: Jobs of one session that may wait.
        queue: Jobs that may wait over all.
        age_seconds: Jobs that waited that long have every third start, whatever their bands.
        input_cost: What a token read counts.
        output_cost: What a token written counts.
        quantum: Counted tokens that a running session may be ahead of a waiting one before it is preempted.
        reserve: Slots of a model with more than one that interactive jobs get at once; others use them
            meanwhile, unless they cannot be preempted.
        drain_seconds: How long a model that is in use may keep others from being loaded.
    """

    budgets: Mapping[str, int] = field(default_factory=dict)
    host_budget: int = 0
    session_queue: int = 64
    queue: int = 4096
    age_seconds: float = 30.0
    input_cost: float = 1.0
    output_cost: float = 2.0
    quantum: float = 256.0
    reserve: int = 1
    drain_seconds: float = 15.0


class Refused(ModelError):
    """The scheduler ends a request without a reply.

    Args:
        message: Why.
        status: As HTTP says it: 400, 429, 503 or 504.
        retry_after: Seconds after which trying again may work.
    """

    code = "busy"

    def __init__(
        self, message: str, *, status: int, retry_after: float | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after = retry_after
