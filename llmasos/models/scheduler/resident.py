"""One model's engine: loaded, moved and freed, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import anyio

from llmasos.errors import ModelError
from llmasos.models.engines.port import Engine, EngineDied, Loader, LoadPlan, OutOfMemory
from llmasos.models.scheduler.types import Card

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 30.0

Place = Literal["absent", "loading", "resident", "parking", "parked", "unloading"]


class Resident:
    """The place of one model, whether its engine is there or not.

    Args:
        card: What the scheduler knows of it.
        plan: How it is loaded.
        loader: Loads it.

    Attributes:
        place: Where it is, or goes to.
        bytes: What it takes there, by its own account.
        failure: What its last load failed with, if it did.
        prepared: What the engine has read ahead of time.
        sent_away: Whether somebody asked that it be unloaded.
        moved: Set when `place` changes, or what is wanted.
    """

    def __init__(self, card: Card, plan: LoadPlan, loader: Loader) -> None:
        self.card = card
        self.plan = plan
        self.place: Place = "absent"
        self.bytes = 0
        self.failure: ModelError | None = None
        self.prepared: set[int] = set()
        self.sent_away = False
        self.moved = anyio.Event()
        self._loader = loader
        self._engine: Engine | None = None
        self._lock = anyio.Lock()
        self._users = 0
        self._unused = anyio.Event()

    @property
    def engine(self) -> Engine | None:
        """The engine, where it can be used now."""
        return self._engine if self.place == "resident" else None

    def move(self, place: Place) -> None:
        """Say where the model is now, or goes to."""
        self.place = place
        if place in ("absent", "loading"):
            self.sent_away = False
        self.moved.set()
        self.moved = anyio.Event()

    def send_away(self, wanted: bool) -> None:
        """Note that somebody wants it unloaded, or loaded after all."""
        self.sent_away = wanted and self.place != "absent"
        self.moved.set()
        self.moved = anyio.Event()

    @contextmanager
    def use(self) -> Iterator[Engine | None]:
        """Hand out the engine where it can be used; until the block is left it stays as it is."""
        self._users += 1
        try:
            yield self.engine
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    def anew(self) -> Resident:
        """Return the same model with nothing loaded."""
        return Resident(self.card, self.plan, self._loader)

    async def load(self) -> int:
        """Load the engine, or move it back from the host's memory, and return its bytes.

        Raises:
            OutOfMemory: There is no room for it; where it was in the host's memory, it still is.
            Exception: It cannot be loaded; nothing of it is left then.
        """
        async with self._lock:
            try:
                if self._engine is not None:
                    await self._unpark(self._engine)
                if self._engine is None:
                    self.prepared.clear()
                    self._engine = await self._loader(self.plan)
                self.bytes = (await self._engine.footprint()).total
                return self.bytes
            except BaseException:
                if self.place != "parked":
                    await self._free()
                raise

    async def park(self) -> int | None:
        """Move the engine to the host's memory and return its bytes there; None when that failed."""
        async with self._lock:
            await self._wait_unused()
            try:
                return await self._engine.park() if self._engine is not None else None
            except Exception:
                _log.exception("the model %s could not be moved to the host's memory", self.card.model)
                await self._free()
                return None

    async def unload(self) -> None:
        """Free the engine, wherever it lies."""
        async with self._lock:
            await self._wait_unused()
            await self._free()

    async def abandon(self) -> None:
        """Free an engine that died, whoever uses it."""
        async with self._lock:
            await self._free()

    async def measure(self) -> int | None:
        """Return the bytes that the engine takes now; None where it is not there, or does not say."""
        with self.use() as engine:
            if engine is None:
                return None
            try:
                self.bytes = (await engine.footprint()).total
            except Exception:
                _log.exception("the model %s could not be measured", self.card.model)
                return None
            return self.bytes

    async def _unpark(self, engine: Engine) -> None:
        try:
            await engine.unpark()
        except OutOfMemory:
            self.move("parked")
            raise
        except EngineDied:
            # What lay in the host's memory went with it, and nobody had used it.
            await self._free()

    async def _wait_unused(self) -> None:
        while self._users:
            self._unused = anyio.Event()
            await self._unused.wait()

    async def _free(self) -> None:
        engine, self._engine = self._engine, None
        self.bytes = 0
        if engine is None:
            return
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True) as patience:
            try:
                await engine.close()
            except Exception:
                _log.exception("the engine of %s could not be closed", self.card.model)
        if patience.cancelled_caught:
            _log.error("the engine of %s did not close in %s seconds", self.card.model, _CLOSE_SECONDS)
