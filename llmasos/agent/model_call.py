"""One call of a model, as it is recorded: what was sent, what came of it, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from llmasos.agent.recording import record
from llmasos.errors import LedgerError, LLMasOSError
from llmasos.ledger import Ledger
from llmasos.models import Origin


class ModelCall:
    """A call that has begun.

    Args:
        ledger: Where it is recorded.
        session: The session that asks.
        origin: Tells where the reply comes from, once it has come.
        sent: The SHA-256 of what was sent.
        facts: What else is recorded: the turn, or the request; where the reply comes from counts more.
    """

    def __init__(
        self, ledger: Ledger, session: str, origin: Callable[[], Awaitable[Origin]], sent: str, **facts: Any
    ) -> None:
        self._ledger = ledger
        self._session = session
        self._origin = origin
        self._sent = sent
        self._facts = facts
        self._began = time.monotonic()

    async def replied(self, **facts: Any) -> None:
        """Record a call with its reply.

        Raises:
            LedgerError: It cannot be recorded, so nothing may follow from the reply.
            LLMasOSError: Where it comes from is not known any more, so nothing may follow either.
        """
        with anyio.CancelScope(shield=True):
            origin, unknown = await self._whence()
            if unknown is None:
                await self._write(origin, status="ok", **facts)
            else:
                await self._write(origin, status="failed", error=type(unknown).__name__, **facts)
                raise unknown

    async def failed(self, error: BaseException, **facts: Any) -> None:
        """Record a call without a reply; nothing follows from it, so it may go unrecorded."""
        cancelled = isinstance(error, anyio.get_cancelled_exc_class() | GeneratorExit)
        said = "" if cancelled else type(error).__name__
        with anyio.CancelScope(shield=True):
            origin, _ = await self._whence()
            try:
                await self._write(origin, status="cancelled" if cancelled else "failed", error=said, **facts)
            except LedgerError:
                return

    async def _whence(self) -> tuple[dict[str, str], LLMasOSError | None]:
        """Return what is known of the origin, and why it is nothing."""
        try:
            return (await self._origin()).fields(), None
        except LLMasOSError as error:
            # Weights that cannot be read any more did reply, or fail: that is recorded without their digest.
            return {}, error

    async def _write(self, origin: Mapping[str, str], **facts: Any) -> None:
        await record(
            self._ledger,
            self._session,
            "model",
            **{**self._facts, **origin},
            messages_sha256=self._sent,
            milliseconds=round((time.monotonic() - self._began) * 1000),
            **facts,
        )
