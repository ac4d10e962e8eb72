"""Owners: a key sees the sessions that it began, and no others."""

from __future__ import annotations

from llmasos.api import SessionInfo
from llmasos.errors import SessionError
from llmasos.service.access import _rows as rows
from llmasos.service.access.access import Access
from llmasos.store import Store


class Owners:
    """Whose sessions are whose. The machine's own user, and keys with the scope `admin`, see all of them.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def began(self, access: Access | None, session: str) -> None:
        """Note who began a session."""
        if access is not None:
            await rows.insert_session(self._store, session, access.key_id)

    async def owner(self, session: str) -> str:
        """Return the key that began a session; empty for the machine's own user."""
        return await rows.session_owner(self._store, session)

    async def check(self, access: Access | None, session: str) -> None:
        """Return when a session may be used.

        Raises:
            SessionError: It is not there, as far as this key can tell.
        """
        if access is None or access.may("admin"):
            return
        if await rows.session_owner(self._store, session) != access.key_id:
            raise SessionError(f"There is no session {session!r}.", hint="`GET /v1/sessions` lists them.")

    async def visible(self, access: Access | None, sessions: list[SessionInfo]) -> list[SessionInfo]:
        """Return those of the sessions that may be used."""
        if access is None or access.may("admin"):
            return sessions
        mine = await rows.sessions_of(self._store, access.key_id)
        return [info for info in sessions if info.id in mine]

    async def seen(self, access: Access | None) -> list[str] | None:
        """Return the ids of the sessions that may be used; None means all."""
        if access is None or access.may("admin"):
            return None
        return sorted(await rows.sessions_of(self._store, access.key_id))
