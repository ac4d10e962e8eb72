"""Slots: which jobs start, and which give way to others.

A running job gives way to one of a more urgent band, and to one whose session is behind by more than a
quantum. One that has just started is left alone, and for longer each time that it was preempted. Among
sessions that use about the same, a job goes on until it has written as much as would have to be read again,
so that taking turns costs little. A session that used less than all others need not wait so long, nor until
one with several jobs is a quantum ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmasos.models.scheduler.decisions import Preempt, Start, Stop
from llmasos.models.scheduler.draft import SMOOTHING, Draft
from llmasos.models.scheduler.state import JobState, ModelState

CROWD = 8
"""So many sessions that used less than others are no crowd, however few slots there are."""

SAFE = 1 / 8
"""The part of a quantum for which a job that had waited long is safe from more urgent ones."""


def dispatch(draft: Draft) -> None:
    """Start jobs where there are slots, and stop others where a waiting job has a better right."""
    for name, queue in list(draft.state.queues.items()):
        if len(queue) and draft.state.models[name].ready:
            while _start_next(draft, draft.state.models[name]):
                pass


def count(draft: Draft, tokens: Mapping[int, int]) -> None:
    """Count the tokens that jobs wrote."""
    read: dict[str, list[JobState]] = {}
    for job, number in tokens.items():
        state = draft.state.jobs.get(job)
        if state is not None and number > 0:
            if not state.written:
                read.setdefault(state.job.model, []).append(state)
            draft.charge(state, number * draft.state.rules.output_cost)
            draft.change(state, written=state.written + number)
    for model, jobs in read.items():
        _measure(draft, draft.state.models[model], jobs)


def _measure(draft: Draft, model: ModelState, read: list[JobState]) -> None:
    """Note how long a model took to read what its jobs that have just begun to write had to have read."""
    seconds = draft.now - min(job.started for job in read)
    each = seconds / max(sum(job.length for job in read), 1)
    draft.update(model, reading=model.reading + SMOOTHING * (each - model.reading) if model.reading else each)


def stop(draft: Draft, job: JobState) -> None:
    """Stop a job that has a slot, for good."""
    draft.change(job, phase="stopping")
    draft.effects.append(Stop(job.job.id))


def cancel(draft: Draft, job: int) -> None:
    """End a job that nobody wants any more: at once, or when its engine has stopped it."""
    state = draft.state.jobs.get(job)
    if state is None or state.phase == "stopping":
        return
    if state.phase in ("waiting", "stalled"):
        draft.end(state)
    else:
        stop(draft, state)


def ended(draft: Draft, job: int) -> None:
    """Note that a job's stream ended."""
    if (state := draft.state.jobs.get(job)) is not None:
        draft.end(state)


def stopped(draft: Draft, job: int) -> None:
    """Note that a job was stopped; one that was preempted waits again, or for its reader."""
    state = draft.state.jobs.get(job)
    if state is None or state.phase in ("waiting", "stalled"):
        return
    if state.phase != "preempting":
        draft.end(state)
        return
    draft.free_slot(state)
    state = draft.change(
        state,
        phase="stalled",
        kept=state.kept + state.written,
        written=0,
        preempted=state.preempted + 1,
    )
    if not state.stalled:
        draft.wait(state)


def declined(draft: Draft, job: int) -> None:
    """Note that a job which was to be preempted runs on."""
    state = draft.state.jobs.get(job)
    if state is not None and state.phase == "preempting":
        draft.change(state, phase="running", job=replace(state.job, preemptible=False))


def stalled(draft: Draft, job: int) -> None:
    """Note that a job's reader does not keep up: it does not wait in a queue for that time."""
    state = draft.state.jobs.get(job)
    if state is None or state.stalled:
        return
    if state.phase == "waiting":
        draft.leave_queue(state)
        draft.change(state, stalled=True, phase="stalled")
    else:
        draft.change(state, stalled=True)


def drained(draft: Draft, job: int) -> None:
    """Note that a job's reader has caught up."""
    state = draft.state.jobs.get(job)
    if state is None or not state.stalled:
        return
    state = draft.change(state, stalled=False)
    if state.phase == "stalled":
        draft.wait(state)


def preempt(draft: Draft, job: JobState) -> None:
    """Stop a job for a while."""
    draft.change(job, phase="preempting")
    draft.effects.append(Preempt(job.job.id))


def _start_next(draft: Draft, model: ModelState) -> bool:
    """Start the job that is next, or make room for it; return whether one started."""
    state, queue = draft.state, draft.queue(model.name)
    running = [state.jobs[job] for job in model.running]
    full = len(running) >= model.card.slots
    first = queue.challenger(draft.counter) if full else queue.first(draft.counter)
    if first is not None and _stays(state.jobs[first]):
        shared = model.card.slots - _reserve(draft, model)
        if sum(map(_stays, running)) >= shared:
            first = queue.first(draft.counter, interactive=True)
    if first is None:
        return False
    if full:
        _make_way(draft, model, state.jobs[first], running)
        return False
    _start(draft, state.jobs[first])
    return len(queue) > 0


def _stays(job: JobState) -> bool:
    """Return whether a job can hold up interactive ones, so that it may not use the reserved slots."""
    return job.arrived > 0 and not job.job.preemptible


def _reserve(draft: Draft, model: ModelState) -> int:
    return min(draft.state.rules.reserve, model.card.slots - 1)


def _start(draft: Draft, job: JobState) -> None:
    if not job.charged:
        draft.charge(job, job.job.prompt_tokens * draft.state.rules.input_cost)
    draft.start(job)
    draft.effects.append(Start(job.job.id))


def _make_way(draft: Draft, model: ModelState, job: JobState, running: list[JobState]) -> None:
    """Preempt a running job when the one that is next has a better right to its slot."""
    rules, queue = draft.state.rules, draft.queue(model.name)
    going = sum(other.phase in ("preempting", "stopping") for other in running)
    if going >= queue.sessions(job.arrived):
        return
    arrived, sessions = job.arrived, draft.state.sessions
    session = sessions[job.job.client.session]
    reserved = arrived == 0 and sum(other.arrived == 0 for other in running) < _reserve(draft, model)
    light = session.counter < draft.state.floor
    # A crowd of newcomers has no better right than those who were served before it.
    light = light and queue.sessions(job.arrived, draft.state.floor) <= max(CROWD, 2 * model.card.slots)
    quantum = int(rules.quantum / max(rules.output_cost, 1e-3))

    def gives_way(other: JobState) -> bool:
        if other.phase != "running" or not other.job.preemptible:
            return False
        if other.stalled or (reserved and other.arrived > 0):
            return True
        band, soon = _band(draft, other), min(2 << other.preempted, quantum)
        if arrived != band:
            return arrived < band and other.written >= soon
        its = sessions[other.job.client.session]
        lead = 0.0 if light and its.jobs > 1 and not session.running else rules.quantum
        enough = soon if light else max(other.job.prompt_tokens + other.kept, quantum)
        return not going and its.counter > session.counter + lead and other.written >= enough

    victims = filter(gives_way, running)
    worst = max(victims, key=lambda other: _little_right(draft, other), default=None)
    if worst is not None:
        preempt(draft, worst)


def _little_right(draft: Draft, job: JobState) -> tuple[bool, int, float, int]:
    """Order running jobs by how little right they have to their slots."""
    return job.stalled, _band(draft, job), draft.counter(job.job.client.session), job.job.id


def _band(draft: Draft, job: JobState) -> int:
    """Return the band of a running job; one that had waited long is as an interactive one at first."""
    rules = draft.state.rules
    return job.band if job.written * rules.output_cost < rules.quantum * SAFE else job.arrived
