"""Slots: which jobs start, and which give way to others."""

from __future__ import annotations

from collections.abc import Mapping

from llmasos.models.scheduler.draft import Draft
from llmasos.models.scheduler.state import JobState, ModelState
from llmasos.models.scheduler.types import Preempt, Start, Stop


def dispatch(draft: Draft) -> None:
    """Start jobs where there are slots, and stop others where a waiting job has a better right."""
    for name, queue in list(draft.state.queues.items()):
        if len(queue) and draft.state.models[name].ready:
            while _start_next(draft, draft.state.models[name]):
                pass


def count(draft: Draft, tokens: Mapping[int, int]) -> None:
    """Count the tokens that jobs wrote."""
    for job, number in tokens.items():
        state = draft.state.jobs.get(job)
        if state is not None and number > 0:
            draft.charge(state, number * draft.state.rules.output_cost)
            draft.change(state, written=state.written + number)


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
    rules, state = draft.state.rules, draft.state
    running = [state.jobs[job] for job in model.running]
    shared = model.card.slots - min(rules.reserve, model.card.slots - 1)
    full = len(running) >= model.card.slots
    only_reserved = sum(job.arrived > 0 for job in running) >= shared
    first = draft.queue(model.name).first(draft.counter, reserved=only_reserved and not full)
    if first is not None and not full:
        _start(draft, state.jobs[first])
        return len(draft.queue(model.name)) > 0
    first = draft.queue(model.name).first(draft.counter)
    if first is not None:
        _make_way(draft, model, state.jobs[first], running, only_reserved)
    return False


def _start(draft: Draft, job: JobState) -> None:
    draft.leave_queue(job, started=True)
    if not job.charged:
        draft.charge(job, job.job.prompt_tokens * draft.state.rules.input_cost)
    draft.take_slot(job, charged=True, written=0)
    draft.effects.append(Start(job.job.id))


def _make_way(
    draft: Draft, model: ModelState, job: JobState, running: list[JobState], only_reserved: bool
) -> None:
    """Preempt a running job when the one that is next has a better right to its slot."""
    going = sum(other.phase in ("preempting", "stopping") for other in running)
    if going >= draft.queue(model.name).waiting(job.band):
        return
    candidates = [
        other
        for other in running
        if other.phase == "running"
        and other.job.preemptible
        # A job that may not use the reserved slots gains nothing by one of them.
        and (job.arrived == 0 or other.arrived > 0 or not only_reserved)
        and _gives_way(draft, other, job, going)
    ]
    if candidates:
        preempt(draft, max(candidates, key=lambda other: _worse(draft, other)))


def _worse(draft: Draft, job: JobState) -> tuple[bool, int, float, int]:
    """Order running jobs by how little right they have to their slots."""
    return job.stalled, _band(draft, job), draft.counter(job.job.client.session), job.job.id


def _gives_way(draft: Draft, running: JobState, job: JobState, going: int) -> bool:
    """Return whether a running job is to be preempted for one that waits.

    A job that has just started is left alone, and one that was preempted before for longer each time, so
    that reading prompts again never takes most of the time.
    """
    rules = draft.state.rules
    if running.stalled:
        return True
    quantum = rules.quantum / rules.output_cost if rules.output_cost > 0 else rules.quantum
    if job.band < _band(draft, running):
        return running.written >= min(2 << running.preempted, quantum)
    again = (running.job.prompt_tokens + running.kept) / 4 if running.preempted else 0
    ahead = draft.counter(running.job.client.session) - draft.counter(job.job.client.session)
    return (
        not going
        and job.band == _band(draft, running)
        and ahead > rules.quantum
        and running.written >= max(min(2 << running.preempted, quantum), again)
    )


def _band(draft: Draft, job: JobState) -> int:
    """Return the band of a running job; one that was raised keeps that for the length of a quantum."""
    rules = draft.state.rules
    return job.band if job.written * rules.output_cost < rules.quantum else job.arrived
