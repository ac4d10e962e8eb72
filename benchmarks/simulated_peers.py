"""The rules by which others share models, in the shape of our own events and effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmasos.models.scheduler.decisions import Effect, Load, Start, Unload, Wake
from llmasos.models.scheduler.events import Ended, Event, Loaded, Registered, Submitted, Unloaded
from llmasos.models.scheduler.simulation import Policy
from llmasos.models.scheduler.types import Card, Job

BUDGET = 100
"""Bytes of the device; models have sizes like 40."""


class Peer:
    """What all peers do: requests wait in order of arrival, and models come and go.

    Args:
        slots: Requests that one model runs at once.
    """

    def __init__(self, slots: int = 8) -> None:
        self.slots = slots
        self.cards: dict[str, Card] = {}
        self.phases: dict[str, str] = {}
        self.waiting: list[Job] = []
        self.running: dict[int, Job] = {}
        self.used: dict[str, float] = {}
        self.effects: list[Effect] = []

    def __call__(self, event: Event, now: float) -> Sequence[Effect]:
        """Return what the event leads to."""
        self.effects = []
        match event:
            case Registered(card):
                self.cards[card.model] = card
                self.phases[card.model] = "absent"
                self.used[card.model] = now
            case Submitted(job):
                self.waiting.append(job)
            case Ended(job):
                self.used[self.running.pop(job).model] = now
            case Loaded(model, _, _):
                self.phases[model] = "resident"
                self.used[model] = now
            case Unloaded(model):
                self.phases[model] = "absent"
        self.choose(now)
        return self.effects

    def choose(self, now: float) -> None:
        """Decide what is to be done."""
        raise NotImplementedError

    def start(self, job: Job) -> bool:
        """Start a job if its model is there and has a slot."""
        busy = sum(other.model == job.model for other in self.running.values())
        if self.phases[job.model] != "resident" or busy >= self.slots:
            return False
        self.waiting.remove(job)
        self.running[job.id] = job
        self.effects.append(Start(job.id))
        return True

    def start_all(self) -> None:
        """Start every job that can be, in order of arrival."""
        for job in list(self.waiting):
            self.start(job)

    def need(self, model: str, victim: Callable[[list[str]], str | None]) -> None:
        """Load a model if there is room, or else let the victim go."""
        taken = sum(self.cards[name].bytes for name, phase in self.phases.items() if phase != "absent")
        if self.phases[model] != "absent" or "unloading" in self.phases.values():
            return
        if taken + self.cards[model].bytes <= BUDGET:
            self.phases[model] = "loading"
            self.effects.append(Load(model))
        elif gone := victim([name for name, phase in self.phases.items() if phase == "resident"]):
            self.phases[gone] = "unloading"
            self.effects.append(Unload(gone))

    def idle(self, model: str) -> bool:
        """Return whether a model runs nothing, and nobody waits for it."""
        return not self.runs(model) and all(job.model != model for job in self.waiting)

    def runs(self, model: str) -> bool:
        """Return whether a model runs something."""
        return any(job.model == model for job in self.running.values())

    def least_used(self, models: list[str]) -> str | None:
        """Return the model that was not used for longest, of those that run nothing."""
        return min((m for m in models if not self.runs(m)), key=lambda m: self.used[m], default=None)


class Ollama(Peer):
    """Requests for a loaded model go to it at once; the first of the others waits until one is idle.

    The one to go is that with the shortest keep-alive, which is the same for all by default, and then the
    first by name.
    """

    def choose(self, now: float) -> None:
        """Decide what is to be done."""
        self.start_all()
        for job in self.waiting:
            if self.phases[job.model] != "resident":
                self.need(job.model, lambda models: min(filter(self.idle, models), default=None))
                return


class LeastRecentlyUsed(Peer):
    """As a cache that counts references: the idle model that was not used for longest goes."""

    def choose(self, now: float) -> None:
        """Decide what is to be done."""
        self.start_all()
        for job in self.waiting:
            if self.phases[job.model] != "resident":
                self.need(job.model, lambda models: self.least_used(list(filter(self.idle, models))))
                return


class LlamaSwap(Peer):
    """One model at a time; another one comes when it is idle."""

    def choose(self, now: float) -> None:
        """Decide what is to be done."""
        self.start_all()
        there = [model for model, phase in self.phases.items() if phase != "absent"]
        for job in self.waiting:
            if self.phases[job.model] == "resident":
                continue
            if not there:
                self.need(job.model, lambda _: None)
            elif self.phases[there[0]] == "resident" and self.idle(there[0]):
                self.phases[there[0]] = "unloading"
                self.effects.append(Unload(there[0]))
            return


class FirstInFirstOut(Peer):
    """Strictly in order of arrival: who is first holds up the others until its model is there."""

    def next(self) -> Job:
        """Return the job that is first."""
        return self.waiting[0]

    def choose(self, now: float) -> None:
        """Decide what is to be done."""
        while self.waiting:
            job = self.next()
            if not self.start(job):
                self.need(job.model, self.least_used)
                return


class RoundRobin(FirstInFirstOut):
    """As first in, first out, but sessions take turns."""

    def __init__(self, slots: int = 8) -> None:
        super().__init__(slots)
        self.turns: dict[str, int] = {}

    def next(self) -> Job:
        """Return the job whose session had the fewest turns."""
        return min(self.waiting, key=lambda job: (self.turns.get(job.client.session, 0), job.id))

    def start(self, job: Job) -> bool:
        """Start a job, which is a turn of its session."""
        started = super().start(job)
        self.turns[job.client.session] = self.turns.get(job.client.session, 0) + started
        return started


class Aios(FirstInFirstOut):
    """Collects requests once a second, and runs one at a time."""

    def __init__(self) -> None:
        super().__init__(1)
        self.batch: list[Job] = []
        self.collect = 0.0

    def next(self) -> Job:
        """Return the first job of the batch."""
        return self.batch[0]

    def start(self, job: Job) -> bool:
        """Start a job if nothing runs."""
        started = not self.running and super().start(job)
        if started:
            self.batch.remove(job)
        return started

    def choose(self, now: float) -> None:
        """Decide what is to be done."""
        if not self.batch and now >= self.collect:
            self.batch = list(self.waiting)
            self.collect = now + 1.0
        if self.batch:
            job = self.batch[0]
            if not self.start(job) and not self.running:
                self.need(job.model, self.least_used)
        elif self.waiting:
            self.effects.append(Wake(self.collect))


PEERS: dict[str, Callable[[], Policy]] = {
    "Ollama's rule": Ollama,
    "LRU": LeastRecentlyUsed,
    "llama-swap's rule": LlamaSwap,
    "FIFO": FirstInFirstOut,
    "round robin": RoundRobin,
    "AIOS's shape": Aios,
}
