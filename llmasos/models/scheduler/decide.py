"""The scheduler's decisions: a pure function of what is known and what happens."""

from __future__ import annotations

from bisect import bisect_right

from llmasos.models.scheduler import admission, dispatch, placement, residency
from llmasos.models.scheduler.decisions import Effect, Refuse, Wake
from llmasos.models.scheduler.draft import Draft
from llmasos.models.scheduler.events import (
    Asked,
    Cancelled,
    Declined,
    Died,
    Drained,
    Ended,
    Event,
    Loaded,
    LoadFailed,
    Measured,
    Parked,
    Produced,
    Registered,
    Stalled,
    Stopped,
    Submitted,
    Tick,
    Unloaded,
)
from llmasos.models.scheduler.queue import NEVER
from llmasos.models.scheduler.state import State


def decide(state: State, event: Event, now: float) -> tuple[State, tuple[Effect, ...]]:
    """Return what the event leads to.

    Args:
        state: What is known; it is not changed.
        event: What happened.
        now: The time in seconds, of any clock that does not go back.

    Returns:
        What is known then, and what is to be done. The last effect is a `Wake` whenever time alone will
        change something; a later one replaces it.
    """
    return advance(state.copy(), event, now)


def advance(state: State, event: Event, now: float) -> tuple[State, tuple[Effect, ...]]:
    """Return what the event leads to, as `decide` does, in a time that does not rise with the jobs there are.

    Args:
        state: What is known; it is used up, also when this fails.
        event: What happened.
        now: The time, as for `decide`.
    """
    draft = Draft(state, now)
    _take_in(draft, event)
    _expire(draft)
    _age(draft)
    placement.settle(draft)
    dispatch.dispatch(draft)
    wake = _next(draft)
    if wake < NEVER:
        draft.effects.append(Wake(wake))
    return draft.state, tuple(draft.effects)


def _take_in(draft: Draft, event: Event) -> None:
    match event:
        case Submitted(job):
            admission.submit(draft, job)
        case Cancelled(job):
            dispatch.cancel(draft, job)
        case Produced(tokens):
            dispatch.count(draft, tokens)
        case Ended(job):
            dispatch.ended(draft, job)
        case Stopped(job):
            dispatch.stopped(draft, job)
        case Declined(job):
            dispatch.declined(draft, job)
        case Stalled(job):
            dispatch.stalled(draft, job)
        case Drained(job):
            dispatch.drained(draft, job)
        case Registered(card):
            residency.registered(draft, card)
        case Loaded(model, size, seconds):
            residency.loaded(draft, model, size, seconds)
        case LoadFailed():
            residency.load_failed(draft, event)
        case Parked(model, size):
            residency.parked(draft, model, size)
        case Unloaded(model):
            residency.unloaded(draft, model)
        case Died(model, reason):
            residency.died(draft, model, reason)
        case Measured(model, size):
            residency.measured(draft, model, size)
        case Asked(model, ask):
            residency.asked(draft, model, ask)
        case Tick():
            pass


def _expire(draft: Draft) -> None:
    """End jobs whose time is over."""
    deadlines = draft.state.deadlines
    for _, job in deadlines[: bisect_right(deadlines, (draft.now, NEVER))]:
        state = draft.state.jobs[job]
        if state.phase in ("waiting", "stalled"):
            seconds = state.job.client.seconds or 0.0
            reason = f"The request was not answered within {seconds:g} seconds."
            draft.refuse(state, Refuse(job, 504, reason))
        elif state.phase != "stopping":
            dispatch.stop(draft, state)


def _age(draft: Draft) -> None:
    """Note which jobs have waited long."""
    for queue in draft.state.queues.values():
        queue.age(draft.now)


def _next(draft: Draft) -> float:
    """Return when time alone will change something."""
    state = draft.state
    times = [at for _, at in state.withheld.values()]
    times += [due for due, _ in state.deadlines[bisect_right(state.deadlines, (draft.now, NEVER)) :][:1]]
    times += [queue.next_due() for queue in state.queues.values()]
    times += placement.times(draft)
    return min((at for at in times if at > draft.now), default=NEVER)
