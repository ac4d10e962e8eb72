"""Admission: which jobs may wait, and what the others are told."""

from __future__ import annotations

from typing import Literal

from llmasos.models.scheduler.decisions import Refuse
from llmasos.models.scheduler.draft import Draft
from llmasos.models.scheduler.eviction import demand
from llmasos.models.scheduler.queue import NEVER
from llmasos.models.scheduler.state import ModelState
from llmasos.models.scheduler.types import Job

LONGEST_RETRY = 600.0
"""Seconds after which a client is told to try again, at most."""


def submit(draft: Draft, job: Job) -> None:
    """Let a job wait, or refuse it."""
    if job.id in draft.state.jobs:
        return
    refusal = _refusal(draft, job)
    if refusal is not None:
        draft.effects.append(refusal)
        return
    deadline = NEVER if job.client.seconds is None else draft.now + job.client.seconds
    draft.admit(job, deadline)
    model = draft.state.models[job.model]
    draft.update(model, demand=demand(model, draft.now) + 1, counted=draft.now)


def retry_after(draft: Draft, jobs: int) -> float:
    """Return the seconds in which that many jobs end, as measured."""
    return round(min(max(jobs * draft.state.interval, 1.0), LONGEST_RETRY), 1)


def too_large(draft: Draft, model: ModelState) -> str:
    """Return why a model can never be loaded on its device, and what would fit; empty when it can.

    What counts is the card: a model that ran, and took more than the device has for models, did fit.
    """
    state, card = draft.state, model.registered
    budget = state.rules.budgets.get(card.device)
    if budget is None:
        return f"The model {card.model} is for the device {card.device}, which is not there."
    if card.bytes <= budget:
        return ""
    cards = (other.registered for other in state.models.values())
    fitting = sorted(
        other.model for other in cards if other.bytes <= state.rules.budgets.get(other.device, 0)
    )
    advice = f"What fits: {', '.join(fitting)}." if fitting else "No model that is known fits."
    return (
        f"The model {card.model} takes {size(card.bytes)}, "
        f"and models may take {size(budget)} on {card.device}. {advice}"
    )


def size(number: int) -> str:
    """Return a number of bytes as a person reads it."""
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return f"{number} bytes"


def _refusal(draft: Draft, job: Job) -> Refuse | None:
    """Return why a job may not wait."""
    state, rules = draft.state, draft.state.rules

    def refuse(status: Literal[400, 429, 503], reason: str, after: float | None = None) -> Refuse:
        return Refuse(job.id, status, reason, after)

    model = state.models.get(job.model)
    if model is None:
        return refuse(400, f"There is no model {job.model}.")
    if job.prompt_tokens + job.max_tokens > model.card.context:
        return refuse(
            400,
            f"The request has {job.prompt_tokens} tokens and asks for {job.max_tokens} more; "
            f"{job.model} keeps {model.card.context} in view.",
        )
    if not model.bytes and (reason := too_large(draft, model)):
        return refuse(400, reason)
    if model.refusing and draft.now < model.retry_at:
        return refuse(503, _problem(model), round(max(model.retry_at - draft.now, 1.0), 1))
    session = state.sessions.get(job.client.session)
    if session is not None and session.waiting >= rules.session_queue:
        return refuse(
            429,
            f"The session has {session.waiting} requests waiting, which is as many as it may have.",
            retry_after(draft, len(state.active)),
        )
    waiting = state.waiting()
    if waiting >= rules.queue:
        return refuse(
            503, f"{waiting} requests wait for models, which is as many as may.", retry_after(draft, waiting)
        )
    return None


def _problem(model: ModelState) -> str:
    return f"The model {model.name} could not be loaded: {model.problem}"
