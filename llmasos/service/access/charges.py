"""Charges: what calls used, written together with that of other calls of the same moment."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from llmasos.errors import LLMasOSError
from llmasos.service.access import _rows as rows
from llmasos.service.access.usage import Tally
from llmasos.store import Store

GATHER_SECONDS = 0.05
RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Charges:
    """Writes what keys used; without `written`, before `add` returns.

    A crash loses the charges of its last moment. The records of the calls, which say the same, are not lost.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[rows.Place, Tally] = {}
        self._due = anyio.Event()
        self._behind = False

    @asynccontextmanager
    async def written(self) -> AsyncGenerator[None]:
        """Write in the background meanwhile, and the rest at the end, so that no call waits for it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_writing)
            self._behind = True
            try:
                yield
            finally:
                self._behind = False
                tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await self.write()

    async def add(self, key: str, day: str, model: str, tally: Tally) -> None:
        """Add a call to what a key has used."""
        place = (key, day, model[: rows.LONGEST_MODEL])
        self._pending.setdefault(place, Tally()).add(tally)
        if self._behind:
            self._due.set()
            return
        with anyio.CancelScope(shield=True):
            await self.write()

    async def write(self) -> None:
        """Write what is not written yet.

        Raises:
            ConfigError: The database cannot be written; all is kept for the next time.
        """
        writing, self._pending = self._pending, {}
        if not writing:
            return
        try:
            await rows.add_usage(self._store, writing)
        except BaseException:
            for place, tally in writing.items():
                self._pending.setdefault(place, Tally()).add(tally)
            raise

    async def _keep_writing(self) -> None:
        while True:
            await self._due.wait()
            await anyio.sleep(GATHER_SECONDS)
            self._due = anyio.Event()
            try:
                with anyio.CancelScope(shield=True):
                    await self.write()
            except LLMasOSError as error:
                _log.warning("what keys used cannot be written: %s", error)
                self._due.set()
                await anyio.sleep(RETRY_SECONDS)
