"""The models that run on this machine: planned by the library, and loaded and shared by the scheduler."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models.catalog.fetch import Progress
from llmasos.models.chat.local import LocalChat
from llmasos.models.chat.port import Chat
from llmasos.models.engines.port import Engine, Loader, LoadPlan
from llmasos.models.library import Library
from llmasos.models.plans import Planned, rules_of
from llmasos.models.scheduler.loop import Scheduler
from llmasos.models.scheduler.scheduled import ScheduledEngine
from llmasos.models.scheduler.top import Top
from llmasos.models.scheduler.types import Ask, Client


class Residents:
    """Every model that may be resident here; loading needs `shared`.

    Args:
        settings: How models share the machine.
        library: What is known of them.
        loader: Loads a model.
    """

    def __init__(self, settings: Settings, library: Library, loader: Loader) -> None:
        self._settings = settings
        self._library = library
        self._loader = loader
        self._scheduler: Scheduler | None = None

    @asynccontextmanager
    async def shared(self) -> AsyncGenerator[None]:
        """Share the machine among them; all are unloaded at the end.

        Raises:
            ConfigError: There is no such device.
        """
        devices = self._library.devices
        rules = rules_of(self._settings.models, devices)
        async with Scheduler(rules, tuple(devices.values()), self._loader) as scheduler:
            self._scheduler = scheduler
            yield

    async def prepare(self, name: str | None, progress: Progress | None = None) -> Planned:
        """Have a model's files here, and tell the scheduler of it.

        Raises:
            ModelError: There is no such model, or it cannot be fetched.
        """
        known = self._library.known(name)
        if known is None or self._running.effects.resident(known.spec.name).place == "absent":
            known = await self._library.plan(name, progress)
            self._running.register(known.card, known.plan)
        return known

    async def load(self, planned: Planned, progress: Progress | None = None) -> None:
        """Make a model resident, unless it is.

        Raises:
            ModelError: It cannot be loaded.
            Refused: It cannot be loaded now.
        """
        if not self.loaded(planned.spec.name):
            if progress is not None:
                progress(f"Loading {planned.spec.title}", 0.0, 0.0, "")
            await self.ask(planned.spec.name, "load")

    async def ask(self, name: str, ask: Ask) -> None:
        """Ask for what concerns a model's place, where it was planned before.

        Raises:
            ModelError: There is no such model, or it cannot be loaded.
            Refused: It cannot be loaded now.
        """
        if (known := self._library.known(self._library.get(name).name)) is not None:
            await self._running.ask(known.spec.name, ask)

    def loaded(self, name: str) -> bool:
        """Return whether a model is resident."""
        if self._scheduler is None or self._library.known(name) is None:
            return False
        return self._scheduler.effects.resident(name).engine is not None

    def engine(self, planned: Planned, client: Client, adapter: str = "") -> Engine:
        """Return the engine of a model as a client sees it, with one of its adapters or without."""
        return ScheduledEngine(self._running, planned.spec.name, client, adapter)

    async def chat(self, name: str, adapter: str, client: Client) -> Chat:
        """Return a chat with a model, which is loaded when it is asked.

        Raises:
            ModelError: There is no such model, or it cannot be fetched.
        """
        planned = await self.prepare(name)
        return LocalChat(self.engine(planned, client, adapter), planned.profile)

    def top(self) -> Top:
        """Return how devices, models and sessions stand."""
        return Top() if self._scheduler is None else self._scheduler.top()

    async def drain(self, seconds: float) -> bool:
        """Take no more requests, wait so long for those there are, and return whether all ended."""
        return self._scheduler is None or await self._scheduler.drain(seconds)

    def end(self) -> None:
        """End every request there is with an error."""
        if self._scheduler is not None:
            self._scheduler.end()

    @property
    def _running(self) -> Scheduler:
        if self._scheduler is None:
            raise ModelError("The models are not started.", hint="Use them with `async with`.")
        return self._scheduler


async def load_engine(plan: LoadPlan) -> Engine:
    """Load a model into a process of its own."""
    from llmasos.models.engines.process import load_process

    return await load_process(plan)
