"""Eviction: what a resident model is worth, and which ones go to make room."""

from __future__ import annotations

from collections.abc import Iterable

from llmasos.models.scheduler.draft import Draft
from llmasos.models.scheduler.queue import NEVER
from llmasos.models.scheduler.state import ModelState

HALF_LIFE = 300.0
"""Seconds after which a request counts half in a model's demand."""


def demand(model: ModelState, now: float) -> float:
    """Return how much a model was asked for lately, in requests."""
    return float(model.demand * 0.5 ** ((now - model.counted) / HALF_LIFE))


def value(model: ModelState, now: float) -> float:
    """Return what keeping a model saves: seconds of loading x demand, for each byte that it takes."""
    return model.card.load_seconds * demand(model, now) / max(model.card.bytes, 1)


def idle(draft: Draft, model: ModelState) -> bool:
    """Return whether a resident model has nothing to do."""
    return model.ready and not model.running and not draft.state.waiting(model.name)


def urgency(draft: Draft, model: ModelState) -> int:
    """Return the most urgent band of a model's jobs, 0 being interactive and 3 no job at all."""
    queue = draft.state.queues.get(model.name)
    waiting = queue.band() if queue is not None else None
    running = (draft.state.jobs[job].arrived for job in model.running)
    return min([*running, 3 if waiting is None else waiting])


def order(models: Iterable[ModelState], now: float) -> list[ModelState]:
    """Return models in the order in which they are evicted."""
    return sorted(models, key=lambda model: (value(model, now), model.used, model.name))


def enough(models: Iterable[ModelState], short: int) -> list[ModelState]:
    """Return the models of a list that make enough room, the last ones spared where that can be.

    Args:
        models: In the order in which they are to go.
        short: Bytes that are missing.

    Returns:
        Nothing when all of them together do not suffice.
    """
    chosen: list[ModelState] = []
    freed = 0
    for model in models:
        if freed >= short:
            break
        chosen.append(model)
        freed += model.bytes
    if freed < short:
        return []
    for model in list(reversed(chosen)):
        if freed - model.bytes >= short:
            chosen.remove(model)
            freed -= model.bytes
    return chosen


def victims(draft: Draft, claimant: ModelState, short: int) -> list[ModelState]:
    """Return the models that are to leave a device for another one.

    Idle ones go first, by their value. Models in use go only when they may, as `drains_at` says; the one
    that has been there longest goes first, so that each has its turn.

    Args:
        draft: What is known.
        claimant: The model that is to be loaded.
        short: Bytes that it lacks.

    Returns:
        Nothing when there is not enough to be had yet.
    """
    there = [
        model
        for model in draft.models
        if model.card.device == claimant.card.device and model.ready and not model.pinned
    ]
    unused = order((model for model in there if idle(draft, model)), draft.now)
    if chosen := enough(unused, short):
        return chosen
    used = [
        model for model in there if not idle(draft, model) and drains_at(draft, claimant, model) <= draft.now
    ]
    return enough([*unused, *sorted(used, key=lambda model: (model.loaded, model.name))], short)


def grace(draft: Draft, model: ModelState) -> float:
    """Return for how long a model that is to leave lets its jobs end by themselves before it stops them.

    What is stopped has to be read again. To wait wastes less than that: only the slots that become free.
    """
    tokens = sum(draft.state.jobs[job].length for job in model.running)
    return min(tokens * model.reading, draft.state.rules.drain_seconds)


def drains_at(draft: Draft, claimant: ModelState, model: ModelState) -> float:
    """Return when a model in use may be made to leave for another one.

    It has been there for `drain_seconds` then, and the other has waited for as long, unless what that has
    to do is more urgent. It stays while its own jobs are the more urgent ones, and goes at once when all
    that it does is to wait for slow readers.
    """
    wanted = urgency(draft, claimant) if draft.state.waiting(claimant.name) else 0
    own = urgency(draft, model)
    jobs = [draft.state.jobs[job] for job in model.running]
    if not draft.state.waiting(model.name) and all(job.stalled and job.job.preemptible for job in jobs):
        return draft.now
    if wanted > own:
        return NEVER
    claimed = draft.now if claimant.claimed is None else claimant.claimed
    since = model.loaded if wanted < own else max(claimed, model.loaded)
    return since + draft.state.rules.drain_seconds
