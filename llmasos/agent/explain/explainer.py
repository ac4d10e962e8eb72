"""The explainer: why a turn or an action was done, read from the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from llmasos.agent.explain.log import Place, find, is_session, newest, read
from llmasos.agent.explain.recheck import Judge, P
from llmasos.agent.explain.story import explain_turn
from llmasos.api.explaining import Explanation
from llmasos.errors import UnknownRecordError
from llmasos.ledger import Ledger
from llmasos.store import Store

LAST = "last"
_NAMED = 8


class Explainer(Generic[P]):
    """Explains what was done, from the log alone.

    Args:
        store: The database, with the sessions' events.
        ledger: What was recorded.
        judge: Returns what decides again for a session; None where nothing does.
    """

    def __init__(
        self, store: Store, ledger: Ledger, judge: Callable[[str], Judge[P] | None] = lambda session: None
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._judge = judge

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
        judge = self._judge(place.session)
        today = getattr(judge.today, "version", "") if judge is not None else ""
        named = place.action or place.turn if what == LAST else what
        return explain_turn(log, judge, what=named, policy=today)
