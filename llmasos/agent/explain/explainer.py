"""The explainer: why a turn or an action was done, read from the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio.to_thread

from llmasos.agent._records import load_session
from llmasos.agent.explain.archive import PolicyArchive
from llmasos.agent.explain.log import Place, find, is_session, newest, read
from llmasos.agent.explain.recheck import Policies
from llmasos.agent.explain.story import explain_turn
from llmasos.agent.policy import Policy
from llmasos.api.explaining import Explanation
from llmasos.errors import UnknownRecordError
from llmasos.ledger import Ledger
from llmasos.store import Store

LAST = "last"
_NAMED = 8


class Explainer:
    """Explains what was done, from the log alone.

    Args:
        store: The database, with the sessions' events.
        ledger: What was recorded.
        archive: The policies that decided; None leaves out to decide again.
        today: Returns the policy that holds now for a folder.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        archive: PolicyArchive | None = None,
        today: Callable[[Path], Policy] | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._archive = archive
        self._today = today

    async def find(self, what: str, sessions: Sequence[str] | None = None) -> Place:
        """Return where something stands.

        Args:
            what: An action, a turn, or a session for its last turn; `last` is the last turn of all.
            sessions: The sessions that may be seen; None means all.

        Raises:
            UnknownRecordError: There is no such thing, as far as may be seen.
        """
        if what == LAST:
            if found := await newest(self._store, sessions):
                return found[0]
            raise UnknownRecordError("There is no turn to explain yet.", hint="Ask for something first.")
        place = await find(self._store, self._ledger, what)
        if place is not None and (sessions is None or place.session in sessions):
            return place
        if place is None and await is_session(self._store, what) and (sessions is None or what in sessions):
            raise UnknownRecordError(f"The session {what} has no turn yet.", hint="Ask for something first.")
        turns = await newest(self._store, sessions, _NAMED)
        named = ", ".join(place.turn for place in turns)
        raise UnknownRecordError(
            f"There is no action, turn or session {what[:100]!r}.",
            hint=f"The newest turns are {named}; the explanation of a turn names its actions."
            if named
            else "There is no turn to explain yet.",
        )

    async def explain(self, what: str, place: Place | None = None) -> Explanation:
        """Return why an action or a turn was done.

        Args:
            what: An action, a turn, or a session for its last turn; `last` is the last turn of all.
            place: Where it stands, when that is known.

        Raises:
            UnknownRecordError: There is no such thing.
        """
        place = place or await self.find(what)
        log = await read(self._store, self._ledger, place)
        named = place.action or place.turn if what == LAST else what
        policies = await self._policies(place.session)
        # Proofs apart it is a matter of computing, and a turn may have many actions.
        return await anyio.to_thread.run_sync(lambda: explain_turn(log, policies, what=named))

    async def _policies(self, session: str) -> Policies | None:
        if self._archive is None:
            return None
        today = None
        if self._today is not None:
            info = await load_session(self._store, session)
            today = await anyio.to_thread.run_sync(self._today, Path(info.folder))
        return Policies(self._archive.load, today)
