"""A model of the loop: it does what it is told, answers when a test says so, and checks every decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass, replace

from llmasos.models.scheduler.decide import decide
from llmasos.models.scheduler.decisions import Effect, Load, Park, Preempt, Refuse, Start, Stop, Unload, Wake
from llmasos.models.scheduler.events import (
    Cancelled,
    Declined,
    Died,
    Ended,
    Event,
    Loaded,
    LoadFailed,
    Parked,
    Produced,
    Registered,
    Stopped,
    Submitted,
    Tick,
    Unloaded,
)
from llmasos.models.scheduler.queue import Queue
from llmasos.models.scheduler.ranking import Ranking
from llmasos.models.scheduler.state import State
from llmasos.models.scheduler.types import Card, Client, Job, Rules

Task = Load | Park | Unload


def frozen(value: object) -> object:
    """Return a value that is equal only if nothing in it changed."""
    if isinstance(value, dict):
        return tuple((key, frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, Queue | Ranking):
        return tuple(frozen(getattr(value, name)) for name in value.__slots__)
    if is_dataclass(value):
        return tuple(frozen(getattr(value, field.name)) for field in fields(value))
    return value


class World:
    """Models and jobs as the loop has them.

    Args:
        rules: How models are shared.
        cards: Models that are known from the start.
        watch: Whether all that is known is checked after each decision, which takes time.
    """

    def __init__(self, rules: Rules, *cards: Card, watch: bool = False) -> None:
        self.state = State.of(rules)
        self.now = 0.0
        self.log: list[tuple[Event, float, tuple[Effect, ...]]] = []
        self.running: dict[int, str] = {}
        self.halting: dict[int, str] = {}
        self.orphans: set[int] = set()
        self.tasks: list[Task] = []
        self.jobs: dict[int, Job] = {}
        self.done: dict[int, str] = {}
        self.refusals: dict[int, Refuse] = {}
        self.wake: float | None = None
        self._watch = watch
        for card in cards:
            self.send(Registered(card))

    def send(self, event: Event) -> tuple[Effect, ...]:
        """Let an event happen, and carry out what it leads to."""
        before = self.state
        known = frozen(before) if self._watch else None
        self.state, effects = decide(before, event, self.now)
        if self._watch:
            assert frozen(before) == known, "the state that was passed in has changed"
        self.log.append((event, self.now, effects))
        self.wake = None
        for effect in effects:
            self._carry_out(effect)
        if self._watch:
            self._check()
            self._check_time(before)
        return effects

    def submit(
        self, model: str = "a", session: str = "s", tokens: tuple[int, int] = (10, 100), **more: object
    ) -> int:
        """Submit a job and return its number."""
        preemptible = bool(more.pop("preemptible", True))
        client = Client(session, **more)  # type: ignore[arg-type]
        job = Job(len(self.jobs) + 1, model, client, *tokens, preemptible)
        self.jobs[job.id] = job
        self.send(Submitted(job))
        return job.id

    def cancel(self, job: int) -> None:
        """Want a job's reply no longer."""
        if job not in self.running and job not in self.done:
            self._finish(job, "cancelled")
        self.send(Cancelled(job))

    def write(self, *jobs: int, tokens: int = 1) -> None:
        """Let running jobs write tokens."""
        self.send(Produced({job: tokens for job in jobs or self.running}))

    def end(self, job: int) -> None:
        """Let a running job's stream end."""
        del self.running[job]
        self.halting.pop(job, None)
        self.orphans.discard(job)
        self._finish(job, "ended")
        self.send(Ended(job))

    def halt(self, job: int | None = None) -> None:
        """Answer a job's `Preempt` or `Stop`, or all of them."""
        for one in [job] if job else list(self.halting):
            why = self.halting.pop(one)
            del self.running[one]
            self.orphans.discard(one)
            if why == "stop":
                self._finish(one, "stopped")
            self.send(Stopped(one))

    def decline(self, job: int) -> None:
        """Answer a job's `Preempt` by going on."""
        assert self.halting.pop(job) == "preempt"
        self.jobs[job] = replace(self.jobs[job], preemptible=False)
        self.send(Declined(job))

    def answer(self, fails: str = "", size: int | None = None, index: int = 0, seconds: float = 1.0) -> None:
        """Answer what was to be done with a model."""
        task = self.tasks.pop(index)
        match task:
            case Load(model):
                size = self.state.models[model].bytes if size is None else size
                failed = LoadFailed(model, "it broke", fails == "memory")
                self.send(failed if fails else Loaded(model, size, seconds))
            case Park(model):
                host = self.state.models[model].host_bytes
                self.send(Unloaded(model) if fails else Parked(model, host))
            case Unload(model):
                self.send(Unloaded(model))

    def die(self, model: str) -> None:
        """Let a model's engine end by itself, with its streams still to end."""
        self.orphans |= {job for job in self.running if self.jobs[job].model == model}
        self.send(Died(model, "it crashed"))

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.send(Tick())

    def calm(self, steps: int = 2000) -> None:
        """Let everything run to its end, time passing only by what was asked to wake for."""
        for _ in range(steps):
            if self.tasks:
                self.answer()
            elif self.halting:
                self.halt(next(iter(self.halting)))
            elif self.running:
                job = min(self.running)
                self.write(job)
                if job in self.running and job not in self.halting:
                    self.end(job)
            elif len(self.done) < len(self.jobs):
                assert self.wake is not None, "jobs wait for ever"
                self.now = max(self.wake, self.now)
                self.send(Tick())
            else:
                return
        raise AssertionError("jobs do not come to an end")

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Start(job):
                model = self.jobs[job].model
                assert job not in self.done and job not in self.running
                assert self.state.models[model].phase == "resident"
                self.running[job] = model
            case Preempt(job):
                assert job in self.running and job not in self.halting
                assert self.jobs[job].preemptible
                self.halting[job] = "preempt"
            case Stop(job):
                assert job in self.running and self.halting.get(job) != "stop"
                self.halting[job] = "stop"
            case Refuse(job):
                assert job not in self.running
                self.refusals[job] = effect
                self._finish(job, "refused")
            case Load(model):
                self._free_of_tasks(model)
                device = self.state.models[model].card.device
                assert self.state.used(device) <= self.state.rules.budgets[device]
                self.tasks.append(effect)
            case Park(model) | Unload(model):
                self._free_of_tasks(model)
                assert not self.state.models[model].pinned
                assert not [j for j, m in self.running.items() if m == model and j not in self.orphans]
                if isinstance(effect, Park):
                    assert self.state.host_used <= self.state.rules.host_budget
                self.tasks.append(effect)
            case Wake(at):
                assert at > self.now
                self.wake = at

    def _free_of_tasks(self, model: str) -> None:
        assert model not in {task.model for task in self.tasks}

    def _finish(self, job: int, how: str) -> None:
        assert job not in self.done, f"job {job} ended twice"
        self.done[job] = how

    def _check(self) -> None:
        """Check what has to hold after every decision."""
        state = self.state
        assert set(state.jobs) == set(self.jobs) - set(self.done)
        for name, model in state.models.items():
            here = {job for job, where in self.running.items() if where == name} - self.orphans
            assert set(model.running) == here, "a slot was leaked, or taken twice"
            assert len(here) <= model.card.slots
            assert model.phase == "resident" or not here
            assert (model.bytes > 0) == (model.phase in ("loading", "resident", "parking")) or (
                model.phase == "unloading"
            )
        assert not [job for job in state.jobs.values() if job.phase == "waiting" and job.stalled]
        waiting = [job for queue in state.queues.values() for job in queue]
        assert sorted(waiting) == sorted(j for j, job in state.jobs.items() if job.phase == "waiting")
        jobs = Counter(job.job.client.session for job in state.jobs.values())
        queued = Counter(state.jobs[job].job.client.session for job in waiting)
        active = Counter(self.jobs[job].client.session for job in self.running)
        for name, session in state.sessions.items():
            assert session.jobs == jobs[name]
            assert session.waiting == queued[name]
            assert session.running == active[name]
        assert len(state.active) == len(jobs)
        assert len(state.active) + len(state.idle) == len(state.sessions)

    def _check_time(self, before: State) -> None:
        """Check that nothing comes late, and that no model leaves before its time."""
        state, drain = self.state, self.state.rules.drain_seconds
        due = [(job.deadline, number) for number, job in state.jobs.items() if job.deadline < float("inf")]
        assert state.deadlines == sorted(due)
        late = [state.jobs[number].phase for deadline, number in due if deadline <= self.now]
        assert set(late) <= {"stopping"}, "a job goes on after its deadline"
        assert state.floor >= before.floor
        for name, model in state.models.items():
            if model.leaving != "room":
                continue
            assert model.spares <= self.now + drain
            if before.models[name].leaving != "room":
                jobs = [state.jobs[job] for job in model.running]
                unused = all(job.stalled for job in jobs) and not state.waiting(name)
                assert unused or self.now >= model.loaded + drain, "a model left before it was of use"


def world_of(*cards: Card, host: int = 0, budget: int = 100) -> World:
    """Return a world with these models, or with three of which two fit."""
    sizes = {"a": 50, "b": 40, "c": 60}
    return World(
        Rules({"gpu": budget}, host),
        *(cards or (Card(name, "gpu", size, size, slots=2) for name, size in sizes.items())),
    )


def serve(world: World, *models: str) -> None:
    """Let a job of each model be served, one after the other."""
    for model in models:
        job = world.submit(model)
        while job not in world.running:
            world.answer()
        world.pass_time(1.0)
        world.end(job)


def phases(world: World) -> dict[str, str]:
    """Return where the models lie."""
    return {name: model.phase for name, model in world.state.models.items()}


def slots_of(slots: int = 1, **rules: float) -> World:
    """Return a world with a model that is resident, and has so many slots."""
    world = World(
        Rules({"gpu": 100}, session_queue=500, **rules),  # type: ignore[arg-type]
        Card("a", "gpu", 50, slots=slots, context=100_000),
    )
    first = world.submit(session="first")
    world.answer()
    world.end(first)
    return world
