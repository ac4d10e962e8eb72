"""Who asks, for what, of which model, and by which rules models are shared."""

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
        drain_seconds: How long a model that is in use may keep others from being loaded; for as long again,
            at most, its jobs may end by themselves where that is cheaper than reading them again.
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
