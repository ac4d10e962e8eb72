"""Carries out loading, parking and unloading, and says how each ended."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio
from anyio.abc import TaskGroup

from llmasos.errors import ModelError
from llmasos.models.engines.port import OutOfMemory
from llmasos.models.scheduler.events import Event, Loaded, LoadFailed, Parked, Unloaded
from llmasos.models.scheduler.metrics import Metrics
from llmasos.models.scheduler.resident import Place, Resident

_log = logging.getLogger(__name__)


class Moves:
    """Takes models where they are to be, in the background.

    Args:
        residents: The models by name.
        tasks: Where that is done.
        post: Told how it ended.
        clock: Returns the time in seconds.
        metrics: Where measurements go.
    """

    def __init__(
        self,
        residents: Mapping[str, Resident],
        tasks: TaskGroup,
        post: Callable[[Event], None],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._residents = residents
        self._tasks = tasks
        self._post = post
        self._clock = clock
        self._metrics = metrics

    def load(self, resident: Resident) -> None:
        """Make a model resident."""
        resident.move("loading")
        self._tasks.start_soon(self._carry_out, resident, partial(_load, clock=self._clock))

    def park(self, resident: Resident) -> None:
        """Move a model to the host's memory, because others take its room."""
        self._send(resident, "parking", _park, evicted=True)

    def unload(self, resident: Resident, *, evicted: bool) -> None:
        """Free a model; it is evicted when others take its room."""
        self._send(resident, "unloading", _unload, evicted=evicted)

    def _send(
        self,
        resident: Resident,
        place: Place,
        move: Callable[[Resident], Awaitable[Event]],
        *,
        evicted: bool,
    ) -> None:
        if evicted and not resident.sent_away:
            self._metrics.evicted(resident.card)
        resident.move(place)
        self._tasks.start_soon(self._carry_out, resident, move)

    async def _carry_out(self, resident: Resident, move: Callable[[Resident], Awaitable[Event]]) -> None:
        event = await move(resident)
        if self._residents[resident.card.model] is not resident:
            # The scheduler began anew meanwhile.
            await resident.abandon()
            return
        if isinstance(event, Loaded):
            self._metrics.loaded(resident.card, event.bytes, event.seconds)
        else:
            self._metrics.measured(resident.card, 0)
        self._post(event)


async def _load(resident: Resident, clock: Callable[[], float]) -> Event:
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


async def _park(resident: Resident) -> Event:
    """Move a model to the host's memory; it is unloaded where that fails."""
    size = await resident.park()
    resident.move("absent" if size is None else "parked")
    model = resident.card.model
    return Unloaded(model) if size is None else Parked(model, size)


async def _unload(resident: Resident) -> Event:
    """Free a model."""
    await resident.unload()
    resident.move("absent")
    return Unloaded(resident.card.model)


def ending() -> bool:
    """Return whether the running task is being cancelled, rather than what it awaited."""
    task = asyncio.current_task()
    return anyio.current_effective_deadline() == -math.inf or (task is not None and task.cancelling() > 0)


def _failed(resident: Resident, error: ModelError) -> LoadFailed:
    resident.failure = error
    if resident.place != "parked":
        resident.move("absent")
    return LoadFailed(resident.card.model, error.message, isinstance(error, OutOfMemory))
