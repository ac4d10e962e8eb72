"""A session as it is told: what it is called and what happened in it, for which its folder is not needed."""

from __future__ import annotations

from collections.abc import Callable

from llmasos.agent import _records as records
from llmasos.agent.stream import EventStream
from llmasos.api import SessionInfo
from llmasos.errors import SessionError
from llmasos.store import Store


class Chronicle:
    """What is kept of a session, whether or not it can be gone on with.

    Args:
        store: Where it is kept.
        session: The session's id.
        stream: Its events.
        running: Tells whether a turn is running.
    """

    def __init__(self, store: Store, session: str, stream: EventStream, running: Callable[[], bool]) -> None:
        self._store = store
        self._running = running
        self.id = session
        self.stream = stream

    async def info(self) -> SessionInfo:
        """Return the session as lists show it."""
        info = await records.load_session(self._store, self.id)
        return info.model_copy(update={"running": self._running()})

    async def rename(self, title: str) -> None:
        """Give the session a name in lists, in place of its first request.

        Raises:
            SessionError: The name is empty.
        """
        title = self.stream.redactor.text(title)
        if not title.strip():
            raise SessionError("The name is empty.", hint="Say what the session is to be called.")
        await records.rename_session(self._store, self.id, title)
