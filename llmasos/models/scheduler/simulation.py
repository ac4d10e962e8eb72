"""Simulation: any scheduler under a virtual clock, with engines that take the time that real ones take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from llmasos.models.scheduler.decide import advance
from llmasos.models.scheduler.decisions import Effect, Load, Park, Preempt, Refuse, Start, Stop, Unload, Wake
from llmasos.models.scheduler.events import (
    Ended,
    Event,
    Loaded,
    Parked,
    Produced,
    Registered,
    Stopped,
    Submitted,
    Tick,
    Unloaded,
)
from llmasos.models.scheduler.state import State
from llmasos.models.scheduler.trace import Outcome, Request, SimAgent, SimEngine
from llmasos.models.scheduler.types import Job, Rules


class Policy(Protocol):
    """What decides: events in, effects out."""

    def __call__(self, event: Event, now: float) -> Sequence[Effect]:
        """Return what the event leads to."""


class Scheduled:
    """Our own policy.

    Args:
        rules: How models are shared.
    """

    def __init__(self, rules: Rules) -> None:
        self.state = State.of(rules)

    def __call__(self, event: Event, now: float) -> Sequence[Effect]:
        """Return what the event leads to."""
        self.state, effects = advance(self.state, event, now)
        return effects


@dataclass(slots=True)
class _Device:
    busy: bool = False
    turn: int = 0


@dataclass(slots=True)
class Simulation:
    """One run of agents against engines under a policy.

    Models on one device take turns, a step each. A step reads the prompts of the requests that have just
    been started, or were started again, and writes one token of each.

    Args:
        policy: What decides.
        engines: The models.
        agents: The clients.
    """

    policy: Policy
    engines: Iterable[SimEngine]
    agents: Iterable[SimAgent]
    now: float = 0.0
    requests: dict[int, Request] = field(default_factory=dict)
    _engines: dict[str, SimEngine] = field(default_factory=dict)
    _running: dict[str, list[int]] = field(default_factory=dict)
    _halting: set[int] = field(default_factory=set)
    _devices: defaultdict[str, _Device] = field(default_factory=lambda: defaultdict(_Device))
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))
    _loads: list[str] = field(default_factory=list)
    _wake: float = float("inf")
    _preempted: int = 0

    def run(self, seconds: float) -> Outcome:
        """Let the agents ask for that long."""
        for engine in self.engines:
            self._engines[engine.card.model] = engine
            self._running[engine.card.model] = []
            self._send(Registered(engine.card))
        for agent in self.agents:
            self._at(agent.start, lambda agent=agent: self._ask(agent, agent.requests))  # type: ignore[misc]
        while self._agenda and self._agenda[0][0] <= seconds:
            self.now, _, action = heappop(self._agenda)
            action()
        return Outcome(seconds, tuple(self.requests.values()), tuple(self._loads), self._preempted)

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heappush(self._agenda, (when, next(self._ids), action))

    def _device(self, job: int) -> str:
        return self._engines[self.requests[job].job.model].card.device

    def _later(self, seconds: float, event: Event) -> None:
        self._at(self.now + seconds, lambda: self._send(event))

    def _ask(self, agent: SimAgent, left: int) -> None:
        """Submit an agent's next request."""
        if left <= 0:
            return
        job = Job(next(self._ids), agent.model, agent.client, agent.prompt, agent.output, agent.preemptible)
        self.requests[job.id] = Request(job, agent, left - 1, self.now)
        self._send(Submitted(job))

    def _send(self, event: Event) -> None:
        self._wake = float("inf")
        for effect in self.policy(event, self.now):
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Start(job):
                request = self.requests[job]
                request.unread = request.job.prompt_tokens + request.written
                self._running[request.job.model].append(job)
                self._step(self._device(job))
            case Preempt(job) | Stop(job):
                self._preempted += isinstance(effect, Preempt)
                self._halting.add(job)
                if not self._devices[self._device(job)].busy:
                    self._at(self.now, lambda: self._halt(job))
            case Refuse(job):
                self.requests[job].refused = self.now
                self._next_request(self.requests[job], effect.retry_after or 1.0)
            case Load(model, from_host):
                self._loads.append(model)
                engine = self._engines[model]
                seconds = engine.reload if from_host else engine.card.load_seconds
                self._later(seconds, Loaded(model, engine.card.bytes, seconds))
            case Park(model):
                engine = self._engines[model]
                self._later(engine.unload, Parked(model, engine.card.host_bytes))
            case Unload(model):
                self._later(self._engines[model].unload, Unloaded(model))
            case Wake(at):
                self._wake = at
                self._at(at, lambda: self._send(Tick()) if self._wake == at else None)

    def _step(self, device: str) -> None:
        """Begin a step of the next model that has something to do, if the device is free."""
        place = self._devices[device]
        models = [m for m, jobs in self._running.items() if jobs and self._engines[m].card.device == device]
        if place.busy or not models:
            return
        place.busy = True
        place.turn += 1
        model = models[place.turn % len(models)]
        jobs = tuple(self._running[model])
        engine = self._engines[model]
        reading = sum(self.requests[job].unread for job in jobs)
        seconds = engine.step + engine.more * (len(jobs) - 1) + reading / engine.prefill
        self._at(self.now + seconds, lambda: self._stepped(model, jobs))

    def _stepped(self, model: str, jobs: tuple[int, ...]) -> None:
        """End a step: each of its requests has one more token."""
        for job in jobs:
            request = self.requests[job]
            request.unread = 0
            request.written += 1
            request.first = min(request.first, self.now)
        self._send(Produced(dict.fromkeys(jobs, 1)))
        device = self._engines[model].card.device
        for job in jobs:
            if self.requests[job].written >= self.requests[job].job.max_tokens:
                self._end(self.requests[job])
        for job in sorted(self._halting):
            if self._device(job) == device:
                self._halt(job)
        self._devices[device].busy = False
        self._step(device)

    def _end(self, request: Request) -> None:
        job = request.job.id
        self._halting.discard(job)
        self._running[request.job.model].remove(job)
        request.ended = self.now
        self._send(Ended(job))
        self._next_request(request, 0.0)

    def _halt(self, job: int) -> None:
        if job in self._halting:
            self._halting.discard(job)
            self._running[self.requests[job].job.model].remove(job)
            self._send(Stopped(job))

    def _next_request(self, request: Request, pause: float) -> None:
        when = self.now + request.agent.think + pause
        self._at(when, lambda: self._ask(request.agent, request.left))
