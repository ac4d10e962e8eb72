"""A decision in the making: the state as it becomes, and the effects so far."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace
from typing import Any

from llmasos.models.scheduler.decisions import Effect, Refuse
from llmasos.models.scheduler.queue import NEVER, Queue
from llmasos.models.scheduler.state import JobState, ModelState, SessionState, State
from llmasos.models.scheduler.types import Job

SMOOTHING = 0.2
"""The part of the last interval between two ends in the average of them."""

REMEMBERED = 1000
"""Idle sessions whose counters are kept at most, the smallest being forgotten first."""


class Draft:
    """The state that a decision leads to.

    Args:
        state: The state before, which becomes the one after.
        now: The time, in seconds of any clock that does not go back.
    """

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.effects: list[Effect] = []

    @property
    def models(self) -> list[ModelState]:
        """All models, as they are now."""
        return list(self.state.models.values())

    def queue(self, model: str) -> Queue:
        """Return a model's queue, to be changed."""
        if model not in self.state.queues:
            self.state.queues[model] = Queue()
        return self.state.queues[model]

    def counter(self, session: str) -> float:
        """Return a session's counter."""
        return self.state.sessions[session].counter

    def update(self, model: ModelState, **changes: Any) -> ModelState:
        """Change a model."""
        changed = self.state.models[model.name] = replace(model, **changes)
        return changed

    def change(self, state: JobState, **changes: Any) -> JobState:
        """Change a job."""
        changed = self.state.jobs[state.job.id] = replace(state, **changes)
        return changed

    def admit(self, job: Job, deadline: float) -> None:
        """Take a job in and let it wait."""
        state = self.state
        if not state.jobs:
            state.ended = self.now
        self._enter(job.client.session)
        state.jobs[job.id] = admitted = JobState(job, deadline)
        if deadline < NEVER:
            insort(state.deadlines, (deadline, job.id))
        self.wait(admitted)

    def wait(self, job: JobState) -> None:
        """Put a job into its model's queue."""
        session = job.job.client.session
        due = self.now + self.state.rules.age_seconds
        self.queue(job.job.model).add(job.job.id, session, job.arrived, self.counter(session), due)
        self._count(session, waiting=1)
        self.change(job, phase="waiting", band=job.arrived)

    def leave_queue(self, job: JobState) -> None:
        """Take a job out of its queue."""
        session = job.job.client.session
        self.queue(job.job.model).remove(job.job.id, session, self.counter(session))
        self._count(session, waiting=-1)

    def start(self, job: JobState) -> None:
        """Give a waiting job a slot of its model."""
        session = job.job.client.session
        model = self.state.models[job.job.model]
        turn = self.queue(model.name).take(job.job.id, session, self.counter(session))
        self.update(model, running=(*model.running, job.job.id), used=self.now)
        self._count(session, waiting=-1, running=1)
        self.change(
            job, phase="running", band=0 if turn else job.arrived, charged=True, started=self.now, written=0
        )

    def free_slot(self, job: JobState) -> None:
        """Take a job's slot from it."""
        model = self.state.models[job.job.model]
        left = tuple(other for other in model.running if other != job.job.id)
        self.update(model, running=left, used=self.now)
        self._count(job.job.client.session, running=-1)

    def end(self, job: JobState) -> None:
        """Forget a job, wherever it is."""
        state = self.state
        if job.phase == "waiting":
            self.leave_queue(job)
        elif job.phase != "stalled":
            self.free_slot(job)
            state.interval += SMOOTHING * (self.now - state.ended - state.interval)
            state.ended = self.now
        del state.jobs[job.job.id]
        if job.deadline < NEVER:
            del state.deadlines[bisect_left(state.deadlines, (job.deadline, job.job.id))]
        self._leave(job.job.client.session)

    def refuse(self, job: JobState, refusal: Refuse) -> None:
        """End a job that has no slot, without a reply."""
        self.end(job)
        self.effects.append(refusal)

    def charge(self, job: JobState, tokens: float) -> None:
        """Count tokens for a job's session, divided by its weight."""
        name = job.job.client.session
        session = self.state.sessions[name]
        weight = job.job.client.weight
        # Whatever a client says, counters stay numbers, and grow.
        weight = min(max(weight, 1e-3), 1e3) if weight > 0 else 1.0
        counter = session.counter + max(tokens, 0.0) / weight
        # Written out because it happens for each token.
        self.state.sessions[name] = SessionState(counter, session.jobs, session.waiting, session.running)

    def _count(self, name: str, *, waiting: int = 0, running: int = 0) -> None:
        session = self.state.sessions[name]
        self.state.sessions[name] = replace(
            session, waiting=session.waiting + waiting, running=session.running + running
        )

    def _enter(self, name: str) -> None:
        """Count one more job of a session; one that was idle may not have saved up more than a quantum."""
        state = self.state
        session = state.sessions.get(name)
        if session is None or not session.jobs:
            lowest = state.active.first(self.counter)
            if lowest is not None:
                state.floor = max(state.floor, self.counter(lowest))
            least = 0.0 if state.floor == -NEVER else state.floor - state.rules.quantum
            session = SessionState(max(session.counter, least) if session else least)
            state.idle.remove(name)
            state.active.add(name, session.counter)
        state.sessions[name] = replace(session, jobs=session.jobs + 1)

    def _leave(self, name: str) -> None:
        state = self.state
        session = state.sessions[name] = replace(state.sessions[name], jobs=state.sessions[name].jobs - 1)
        if session.jobs:
            return
        state.active.remove(name)
        state.idle.add(name, session.counter)
        if not len(state.active):
            state.floor = max(state.floor, session.counter)
        while (first := state.idle.first(self.counter)) is not None:
            if len(state.idle) <= REMEMBERED and self.counter(first) > state.floor - state.rules.quantum:
                break
            state.idle.remove(first)
            del state.sessions[first]
