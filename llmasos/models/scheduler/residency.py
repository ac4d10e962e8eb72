"""Residency: where each model lies, as its engine's answers and people's wishes change it."""

from __future__ import annotations

from dataclasses import replace

from llmasos.models.scheduler.admission import too_large
from llmasos.models.scheduler.decisions import Refuse
from llmasos.models.scheduler.draft import Draft
from llmasos.models.scheduler.events import LoadFailed
from llmasos.models.scheduler.placement import fail, free, unload
from llmasos.models.scheduler.state import ModelState
from llmasos.models.scheduler.types import Ask, Card

LONGEST_PAUSE = 60.0
"""Seconds before a model that keeps failing is loaded again, at most."""

FORGIVEN = 300.0
"""Seconds after which a failure no longer makes the next pause longer."""

DISTRUST = 60.0
"""Seconds for which a device is taken to have as little room as a failed load showed."""


def registered(draft: Draft, card: Card) -> None:
    """Take in a model's card; where it lies does not change."""
    model = draft.state.models.get(card.model)
    if model is None:
        draft.state.models[card.model] = ModelState(card, card, pinned=card.pinned, used=draft.now)
    elif card != model.registered:
        # What a loaded model takes stays on the books of the device that it is on.
        there = replace(card, device=model.card.device) if model.bytes else card
        pinned = card.pinned if card.pinned != model.registered.pinned else model.pinned
        leaving = "" if pinned and not model.pinned else model.leaving
        draft.update(model, card=there, registered=card, pinned=pinned, leaving=leaving)


def loaded(draft: Draft, name: str, size: int, seconds: float) -> None:
    """Note that a model is resident."""
    model = draft.state.models.get(name)
    if model is None or model.phase != "loading":
        return
    size = size or model.bytes
    cold = model.card.load_seconds if model.host_bytes else seconds
    draft.update(
        model,
        card=replace(model.card, bytes=size, load_seconds=cold),
        phase="resident",
        bytes=size,
        host_bytes=0,
        loaded=draft.now,
        used=draft.now,
        wanted=False,
        retried=False,
        refusing=False,
        problem="",
    )


def load_failed(draft: Draft, event: LoadFailed) -> None:
    """Note that a model could not be loaded; for want of memory, try once more with one model less."""
    model = draft.state.models.get(event.model)
    if model is None or model.phase != "loading":
        return
    parked = model.host_bytes > 0 and event.out_of_memory
    free_it = model.leaving == "free"
    need = model.bytes
    model = draft.update(
        model,
        phase="parked" if parked else "absent",
        bytes=0,
        host_bytes=model.host_bytes if parked else 0,
        leaving="",
        card=model.card if parked else _home(model),
    )
    if parked and free_it:
        # Who asked that it go waits for that.
        unload(draft, model)
        return
    device = model.card.device
    others = [other for other in draft.models if other.bytes and other.card.device == device]
    if event.out_of_memory and not model.retried and any(not other.pinned for other in others):
        # Just too little room as far as is known, so that another model has to leave first.
        believed = max(free(draft, device) - need + 1, 0)
        draft.state.withheld[device] = (believed, draft.now + DISTRUST)
        draft.update(model, retried=True)
        return
    model = _failed(draft, model, event.reason)
    pause = min(2.0 ** (model.failures - 1), LONGEST_PAUSE)
    model = draft.update(model, retried=False, retry_at=draft.now + pause, refusing=True)
    fail(draft, model, f"The model {model.name} could not be loaded: {event.reason}", after=pause)


def parked(draft: Draft, name: str, host_bytes: int) -> None:
    """Note that a model lies in the host's memory."""
    model = draft.state.models.get(name)
    if model is None or model.phase != "parking":
        return
    free_it = model.leaving == "free"
    host_bytes = host_bytes or model.host_bytes
    card = replace(_home(model), host_bytes=host_bytes)
    model = draft.update(model, phase="parked", bytes=0, host_bytes=host_bytes, leaving="", card=card)
    if free_it:
        unload(draft, model)


def unloaded(draft: Draft, name: str) -> None:
    """Note that a model lies nowhere."""
    model = draft.state.models.get(name)
    if model is not None and model.phase != "loading":
        _vanish(draft, model)


def died(draft: Draft, name: str, reason: str) -> None:
    """Note that a model's engine ended; one that keeps dying is loaded again after a pause."""
    model = draft.state.models.get(name)
    # Otherwise the answer to what it was told last is still to come, and says where it lies.
    if model is None or model.phase not in ("resident", "parked"):
        return
    model = _failed(draft, _vanish(draft, model), reason)
    pause = min(2.0 ** (model.failures - 1), LONGEST_PAUSE) if model.failures > 1 else 0.0
    draft.update(model, retry_at=draft.now + pause)


def measured(draft: Draft, name: str, size: int) -> None:
    """Correct the bytes that a resident model takes."""
    model = draft.state.models.get(name)
    if model is not None and model.phase == "resident" and size > 0:
        draft.update(model, bytes=size, card=replace(model.card, bytes=size))


def asked(draft: Draft, name: str, ask: Ask) -> None:
    """Do what a person wants of a model."""
    model = draft.state.models.get(name)
    if model is None:
        return
    if ask == "unpin":
        draft.update(model, pinned=False)
    elif ask == "unload":
        _unload(draft, draft.update(model, pinned=False, wanted=False))
    else:
        _load(draft, draft.update(model, pinned=model.pinned or ask == "pin"))


def _load(draft: Draft, model: ModelState) -> None:
    problem = "" if model.bytes else too_large(draft, model)
    if problem:
        draft.update(model, problem=problem, pinned=model.registered.pinned)
        return
    draft.update(
        model,
        wanted=model.phase != "resident",
        leaving="",
        problem="",
        refusing=False,
        retry_at=draft.now,
        used=draft.now,
    )


def _unload(draft: Draft, model: ModelState) -> None:
    """Have a model leave when what runs on it has ended; who waits would have it loaded again."""
    reason = f"The model {model.name} is being unloaded, as somebody asked. Ask again to load it."
    for job in draft.queue(model.name):
        draft.refuse(draft.state.jobs[job], Refuse(job, 503, reason, 1.0))
    if model.phase == "parked":
        unload(draft, model)
    elif model.phase in ("loading", "resident", "parking"):
        draft.update(model, leaving="free")


def _failed(draft: Draft, model: ModelState, reason: str) -> ModelState:
    again = model.failures > 0 and draft.now - model.failed < FORGIVEN
    return draft.update(model, failures=model.failures + 1 if again else 1, failed=draft.now, problem=reason)


def _vanish(draft: Draft, model: ModelState) -> ModelState:
    return draft.update(
        model, phase="absent", bytes=0, host_bytes=0, leaving="", running=(), card=_home(model)
    )


def _home(model: ModelState) -> Card:
    """Return the card for the device that a model is loaded on next."""
    return replace(model.card, device=model.registered.device)
