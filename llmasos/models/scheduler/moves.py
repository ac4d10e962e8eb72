"""Carries out loading, parking and unloading, and says how each ended."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from llmasos.errors import ModelError
from llmasos.models.engines.port import OutOfMemory
from llmasos.models.scheduler.resident import Resident
from llmasos.models.scheduler.types import Event, Loaded, LoadFailed, Parked, Unloaded

_log = logging.getLogger(__name__)


async def load(resident: Resident, clock: Callable[[], float]) -> Event:
    """Make a model resident."""
    model, began = resident.card.model, clock()
    try:
        size = await resident.load()
    except ModelError as error:
        return _failed(resident, error)
    except Exception as error:
        _log.exception("the model %s could not be loaded", model)
        return _failed(
            resident,
            ModelError(
                f"The model {model} cannot be loaded: {type(error).__name__}: {error}.", hint="Try again."
            ),
        )
    except anyio.get_cancelled_exc_class():
        if ending():
            raise
        return _failed(resident, ModelError(f"Loading {model} was cancelled.", hint="Try again."))
    resident.failure = None
    resident.move("resident")
    return Loaded(model, size, clock() - began)


async def park(resident: Resident) -> Event:
    """Move a model to the host's memory; it is unloaded where that fails."""
    size = await resident.park()
    resident.move("absent" if size is None else "parked")
    model = resident.card.model
    return Unloaded(model) if size is None else Parked(model, size)


async def unload(resident: Resident) -> Event:
    """Free a model."""
    await resident.unload()
    resident.move("absent")
    return Unloaded(resident.card.model)


def ending() -> bool:
    """Return whether the running task was cancelled from outside, rather than by what it awaited."""
    return anyio.current_effective_deadline() == -float("inf")


def _failed(resident: Resident, error: ModelError) -> LoadFailed:
    resident.failure = error
    if resident.place != "parked":
        resident.move("absent")
    return LoadFailed(resident.card.model, error.message, isinstance(error, OutOfMemory))
