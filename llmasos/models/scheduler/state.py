"""What the scheduler knows: jobs, sessions, models and the memory that they take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llmasos.models.scheduler.queue import BANDS, NEVER, Queue
from llmasos.models.scheduler.ranking import Ranking
from llmasos.models.scheduler.types import Card, Job, Rules

JobPhase = Literal["waiting", "running", "preempting", "stopping", "stalled"]
ModelPhase = Literal["absent", "loading", "resident", "parking", "parked", "unloading"]


@dataclass(frozen=True, slots=True)
class JobState:
    """A job that has not ended.

    Args:
        job: The job.
        deadline: When its time is over.
        phase: `preempting` and `stopping` jobs have their slot until `Stopped`; `stalled` ones have none
            and wait for their reader.
        band: The band in which it holds its slot, 0 being interactive.
        stalled: Its reader does not keep up.
        charged: Whether its prompt was counted.
        started: When it was given its slot.
        kept: Tokens that it wrote before its last start.
        written: Tokens that it wrote since then.
        preempted: How often it was.
    """

    job: Job
    deadline: float = NEVER
    phase: JobPhase = "waiting"
    band: int = 1
    stalled: bool = False
    charged: bool = False
    started: float = 0.0
    kept: int = 0
    written: int = 0
    preempted: int = 0

    @property
    def arrived(self) -> int:
        """The band in which it arrived."""
        return BANDS[self.job.client.band]

    @property
    def length(self) -> int:
        """Tokens that have to be read when it is started again."""
        return self.job.prompt_tokens + self.kept + self.written


@dataclass(frozen=True, slots=True)
class SessionState:
    """What a session has used, and what it has going.

    Args:
        counter: Tokens counted, divided by the session's weight.
        jobs: Its jobs that have not ended.
        waiting: Those that wait in queues.
        running: Those that have a slot.
    """

    counter: float
    jobs: int = 0
    waiting: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model and where it lies.

    Args:
        card: The card, corrected by measurement.
        registered: The card as it was registered.
        phase: Where it lies.
        bytes: Bytes that are reserved for it, or that it takes, on its device.
        host_bytes: The same in the host's memory.
        running: Jobs that have a slot.
        pinned: It is never evicted to make room.
        wanted: It was asked for and is not there yet; when that ends, `problem` says whether it failed.
        leaving: It starts no job and goes when the last has ended: for `room`, or to be freed.
        spares: Until when its jobs may end by themselves before they are stopped for `room`.
        claimed: Since when jobs wait for it to be loaded.
        loaded: When it became resident.
        used: When it was last used.
        demand: Requests, each counting half after `eviction.HALF_LIFE` seconds.
        counted: When the demand was counted.
        reading: Seconds in which it reads a token, as measured; 0 before that.
        retried: Its load ran out of memory once, and is tried again.
        failures: Loads and runs in a row that failed.
        failed: When the last one did.
        retry_at: When it may be loaded again.
        problem: Why it could not be loaded, or ended.
        refusing: Jobs are refused until `retry_at`.
    """

    card: Card
    registered: Card
    phase: ModelPhase = "absent"
    bytes: int = 0
    host_bytes: int = 0
    running: tuple[int, ...] = ()
    pinned: bool = False
    wanted: bool = False
    leaving: Literal["", "room", "free"] = ""
    spares: float = 0.0
    claimed: float | None = None
    loaded: float = 0.0
    used: float = 0.0
    demand: float = 0.0
    counted: float = 0.0
    reading: float = 0.0
    retried: bool = False
    failures: int = 0
    failed: float = 0.0
    retry_at: float = 0.0
    problem: str = ""
    refusing: bool = False

    @property
    def name(self) -> str:
        """Its name."""
        return self.card.model

    @property
    def ready(self) -> bool:
        """Whether jobs may start."""
        return self.phase == "resident" and not self.leaving


@dataclass(slots=True)
class State:
    """All that decisions rest on; `decide` changes none, it returns another, and `advance` uses it up.

    Args:
        rules: How models are shared.
        jobs: Jobs that have not ended, by id.
        sessions: Sessions with a job, or whose counter still matters.
        models: Models by name.
        queues: Jobs that wait, by model.
        deadlines: When jobs' time is over.
        active: Sessions with jobs, by counter.
        idle: The other sessions.
        floor: The smallest counter of the active sessions when the last one became active; newcomers
            begin a quantum below.
        interval: Seconds from one job's end to the next while there is work.
        ended: When a job ended last, or work began.
        withheld: Bytes by device that are taken by something unknown, and until when this is believed.
    """

    rules: Rules
    jobs: dict[int, JobState] = field(default_factory=dict)
    sessions: dict[str, SessionState] = field(default_factory=dict)
    models: dict[str, ModelState] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    deadlines: list[tuple[float, int]] = field(default_factory=list)
    active: Ranking = field(default_factory=Ranking)
    idle: Ranking = field(default_factory=Ranking)
    floor: float = -NEVER
    interval: float = 1.0
    ended: float = 0.0
    withheld: dict[str, tuple[int, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Rules) -> State:
        """Return the state in which nothing has happened."""
        return cls(rules)

    def copy(self) -> State:
        """Return one that changes by itself."""
        return State(
            self.rules,
            self.jobs.copy(),
            self.sessions.copy(),
            self.models.copy(),
            {name: queue.copy() for name, queue in self.queues.items()},
            self.deadlines.copy(),
            self.active.copy(),
            self.idle.copy(),
            self.floor,
            self.interval,
            self.ended,
            self.withheld.copy(),
        )

    def waiting(self, model: str = "") -> int:
        """Return how many jobs wait for a model, or for all."""
        if model:
            return len(self.queues[model]) if model in self.queues else 0
        return sum(map(len, self.queues.values()))

    def used(self, device: str) -> int:
        """Return the bytes that are taken or reserved on a device."""
        return sum(model.bytes for model in self.models.values() if model.card.device == device)

    @property
    def host_used(self) -> int:
        """The bytes that are taken or reserved in the host's memory."""
        return sum(model.host_bytes for model in self.models.values())
