"""Our scheduler beside the rules of others, on the same traces under a virtual clock.

The peers are the rules by which others choose, in the shape of our own events and effects: which request
starts, which model is loaded, and which one goes for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmasos.models.scheduler.simulation import Policy, Scheduled, Simulation
from llmasos.models.scheduler.trace import Outcome, SimAgent, SimEngine
from llmasos.models.scheduler.types import (
    Card,
    Client,
    Effect,
    Ended,
    Event,
    Job,
    Load,
    Loaded,
    Registered,
    Rules,
    Start,
    Submitted,
    Unload,
    Unloaded,
    Wake,
)

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


@dataclass(frozen=True)
class Trace:
    """Who asks what for how long."""

    title: str
    engines: tuple[SimEngine, ...]
    agents: tuple[SimAgent, ...]
    seconds: float
    rules: Rules

    def run(self, policy: Policy) -> Outcome:
        """Run it under a policy."""
        return Simulation(policy, self.engines, self.agents).run(self.seconds)

    def ours(self) -> Outcome:
        """Run it under our policy."""
        return self.run(Scheduled(self.rules))


def engine(name: str, *, size: int = 40, slots: int = 8, load: float = 5.0, host: int = 0) -> SimEngine:
    """Return a model of seven billion parameters on a GPU, as far as time is concerned."""
    card = Card(name, "gpu", size, host, slots=slots, load_seconds=load)
    return SimEngine(card, step=0.02, more=0.001, prefill=8000.0)


def crowd(model: str, agents: int = 8, start: float = 0.0) -> tuple[SimAgent, ...]:
    """Return agents that ask a model without a pause, so that it is never idle."""
    return tuple(
        SimAgent(model, Client(f"{model}{n}"), 200, 100 + 10 * n, start + n / 10) for n in range(agents)
    )


def third_model(seconds: float = 300.0) -> Trace:
    """Return two models that are never idle, and a third one for which there is no room beside them."""
    return Trace(
        "two models that are never idle, and a third",
        tuple(engine(name) for name in "abc"),
        (*crowd("a"), *crowd("b"), *crowd("c", start=10.0)),
        seconds,
        Rules({"gpu": BUDGET}),
    )


def flood(agents: int = 64, seconds: float = 120.0) -> Trace:
    """Return a session with a flood of long requests, and a light one that asks now and then."""
    heavy = tuple(SimAgent("a", Client("flood"), 400, 400, n / 100) for n in range(agents))
    light = SimAgent("a", Client("light"), 50, 20, 5.0, think=3.0)
    return Trace(
        "a flood from one session, and a light one",
        (engine("a"),),
        (*heavy, light),
        seconds,
        Rules({"gpu": BUDGET}, session_queue=1000),
    )


def many(agents: int = 250, seconds: float = 120.0) -> Trace:
    """Return many agents of one model that think between requests."""
    each = tuple(
        SimAgent("a", Client(f"agent{n}"), 100 + n % 7 * 50, 20 + n % 5 * 40, n % 50 / 10, think=1 + n % 3)
        for n in range(agents)
    )
    return Trace(f"{agents} agents of one model", (engine("a"),), each, seconds, Rules({"gpu": BUDGET}))


def now_and_then(host: int = 0, seconds: float = 300.0) -> Trace:
    """Return three models that are each used now and then, and of which two fit."""
    return Trace(
        f"three models used now and then, {'with' if host else 'without'} host memory for them",
        tuple(engine(name, host=host) for name in "abc"),
        tuple(SimAgent(name, Client(name), 200, 60, n, think=7.0 + n) for n, name in enumerate("abc")),
        seconds,
        Rules({"gpu": BUDGET}, 200 if host else 0),
    )


def lines() -> list[str]:
    """Run all traces and return tables of what came out."""
    out: list[str] = []
    traces = (third_model(), now_and_then(), now_and_then(host=40), flood(), many(8), many(64), many(250))
    for trace in traces:
        out += [f"{trace.title.capitalize()}, {trace.seconds:.0f} s", ""]
        out += ["| rule | tokens/s | served by model | p50 / p99 / longest wait, s | Jain | loads |"]
        out += ["| --- | --- | --- | --- | --- | --- |"]
        runs = {"ours": trace.ours(), **{name: trace.run(peer()) for name, peer in PEERS.items()}}
        for name, outcome in runs.items():
            waits = outcome.waits()
            served = ", ".join(str(outcome.served(engine.card.model)) for engine in trace.engines)
            quantiles = (waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1])
            out.append(
                f"| {name} | {outcome.throughput:.0f} | {served} | "
                f"{' / '.join(f'{wait:.1f}' for wait in quantiles)} | {outcome.jain:.3f} "
                f"| {len(outcome.loads)} |"
            )
        out.append("")
    return out


if __name__ == "__main__":
    print(*lines(), sep="\n")
