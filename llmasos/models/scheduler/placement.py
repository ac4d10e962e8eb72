"""Placement: which models are loaded now, and which ones leave for them."""

from __future__ import annotations

from llmasos.models.scheduler import eviction
from llmasos.models.scheduler.admission import size, too_large
from llmasos.models.scheduler.decisions import Load, Park, Refuse, Unload
from llmasos.models.scheduler.dispatch import preempt
from llmasos.models.scheduler.draft import Draft
from llmasos.models.scheduler.state import ModelState


def settle(draft: Draft) -> None:
    """Load what is waited for, as far as there is room, and make room."""
    state = draft.state
    for device, (_, until) in list(state.withheld.items()):
        if until <= draft.now:
            del state.withheld[device]
    for model in draft.models:
        _let_go(draft, model)
        _claim(draft, state.models[model.name])
    for device in state.rules.budgets:
        _share_out(draft, device)
    for model in draft.models:
        if model.leaving and model.phase == "resident":
            _leave(draft, model)
    _trim_host(draft)


def fail(draft: Draft, model: ModelState, refusal: str, *, after: float | None = None) -> None:
    """Refuse all who wait for a model that cannot be loaded."""
    draft.update(model, wanted=False, claimed=None, problem=refusal)
    for job in draft.queue(model.name):
        draft.refuse(draft.state.jobs[job], Refuse(job, 503, refusal, after))


def times(draft: Draft) -> list[float]:
    """Return when models are to be looked at again."""
    found: list[float] = []
    models = draft.models
    for model in models:
        if model.leaving == "room":
            found.append(model.spares)
        if model.claimed is not None:
            found += [
                eviction.drains_at(draft, model, other)
                for other in models
                if other.ready and other.card.device == model.card.device
            ]
        elif model.phase in ("absent", "parked") and _wanted(draft, model):
            found.append(model.retry_at)
        if model.card.keep_alive is not None and not model.pinned:
            found.append(model.used + model.card.keep_alive)
    return found


def free(draft: Draft, device: str) -> int:
    """Return the bytes of a device that nothing takes, as far as is known."""
    return draft.state.rules.budgets.get(device, 0) - draft.state.used(device)


def unload(draft: Draft, model: ModelState) -> None:
    """Free a model, wherever it lies."""
    draft.update(model, phase="unloading")
    draft.effects.append(Unload(model.name, evicted=model.leaving == "room"))


def _wanted(draft: Draft, model: ModelState) -> bool:
    return model.wanted or draft.state.waiting(model.name) > 0


def _let_go(draft: Draft, model: ModelState) -> None:
    """Free a model that was not used for its time."""
    alive = model.card.keep_alive
    if alive is None or model.pinned or model.wanted or draft.now < model.used + alive:
        return
    if eviction.idle(draft, model):
        draft.update(model, leaving="free")
    elif model.phase == "parked" and not draft.state.waiting(model.name):
        unload(draft, model)


def _claim(draft: Draft, model: ModelState) -> None:
    """Note since when a model is waited for."""
    claims = (
        model.phase not in ("loading", "resident") and draft.now >= model.retry_at and _wanted(draft, model)
    )
    if claims and (reason := too_large(draft, model)):
        fail(draft, model, reason)
    elif claims != (model.claimed is not None):
        draft.update(model, claimed=draft.now if claims else None)


def _share_out(draft: Draft, device: str) -> None:
    """Load the models that are waited for, the most urgent first, and among equals who waits longest.

    One that does not fit yet keeps those behind it back, or else small models would keep a large one out.
    """
    there = [model for model in draft.models if model.card.device == device]
    claimants = [
        model for model in there if model.claimed is not None and model.phase in ("absent", "parked")
    ]
    over = -free(draft, device)
    if not claimants:
        for model in there:
            if model.leaving == "room" and model.phase == "resident" and over <= 0:
                draft.update(model, leaving="")
        if over > 0 and sum(model.bytes > 0 for model in there) > 1:
            _evict_idle(draft, there, over)
        return

    def turn(model: ModelState) -> tuple[int, float, str]:
        band = eviction.urgency(draft, model) if draft.state.waiting(model.name) else 0
        return band, model.claimed or 0.0, model.name

    for claimant in sorted(claimants, key=turn):
        if not _place(draft, claimant):
            return


def _place(draft: Draft, model: ModelState) -> bool:
    """Load a model, or make others leave for it; return whether the next one may be looked at."""
    device = model.card.device
    budget = draft.state.rules.budgets[device]
    need = min(model.card.bytes, budget)
    there = [other for other in draft.models if other.bytes and other.card.device == device]
    pinned = [other for other in there if other.pinned]
    most = budget - sum(other.bytes for other in pinned)
    if need > most:
        names = ", ".join(other.name for other in pinned)
        fail(
            draft,
            model,
            f"The model {model.name} takes {size(need)}, and pinned models leave {size(max(most, 0))} "
            f"of {device}: {names}. `llmasos models unpin` lets one go.",
        )
        return True
    withheld = min(draft.state.withheld.get(device, (0, 0.0))[0], most - need)
    going = sum(other.bytes for other in there if other.leaving or other.phase in ("parking", "unloading"))
    short = need + withheld - free(draft, device)
    if short <= 0:
        draft.update(model, phase="loading", bytes=need, claimed=None)
        draft.effects.append(Load(model.name, from_host=model.phase == "parked"))
        return True
    if short > going:
        for victim in eviction.victims(draft, model, short - going):
            draft.update(victim, leaving="room", spares=draft.now + eviction.grace(draft, victim))
    return False


def _evict_idle(draft: Draft, there: list[ModelState], over: int) -> None:
    """Evict idle models while several together take more than they may."""
    for model in eviction.order(there, draft.now):
        if over > 0 and not model.pinned and eviction.idle(draft, model):
            draft.update(model, leaving="room")
            over -= model.bytes
        elif model.leaving or model.phase in ("parking", "unloading"):
            over -= model.bytes


def _leave(draft: Draft, model: ModelState) -> None:
    """Let a model go as soon as nothing runs on it."""
    for job in model.running:
        state = draft.state.jobs[job]
        # What a person frees would only be loaded again for those that it was taken from.
        gives_way = (model.leaving == "room" and model.spares <= draft.now) or state.stalled
        if state.phase == "running" and state.job.preemptible and gives_way:
            preempt(draft, state)
    if model.running:
        return
    need = model.card.host_bytes
    budget = draft.state.rules.host_budget
    if model.leaving == "free" or not need or need > budget:
        unload(draft, model)
        return
    short = need - (budget - draft.state.host_used)
    if short <= 0:
        draft.update(model, phase="parking", host_bytes=need)
        draft.effects.append(Park(model.name))
        return
    parked = [other for other in draft.models if other.host_bytes]
    if sum(other.host_bytes for other in parked if other.phase == "unloading") >= short:
        return
    worth = eviction.value(model, draft.now)
    less = [
        other
        for other in eviction.order(parked, draft.now)
        if _parked_for_nothing(draft, other) and eviction.value(other, draft.now) < worth
    ]
    freed = 0
    for other in less:
        if freed < short and sum(one.host_bytes for one in less) >= short:
            unload(draft, other)
            freed += other.host_bytes
    if not freed:
        unload(draft, model)


def _trim_host(draft: Draft) -> None:
    """Free parked models while all together take more of the host's memory than they may."""
    over = draft.state.host_used - draft.state.rules.host_budget
    for model in eviction.order(draft.models, draft.now) if over > 0 else []:
        if model.phase == "unloading":
            over -= model.host_bytes
        elif over > 0 and _parked_for_nothing(draft, model):
            unload(draft, model)
            over -= model.host_bytes


def _parked_for_nothing(draft: Draft, model: ModelState) -> bool:
    return model.phase == "parked" and not model.pinned and not _wanted(draft, model)
