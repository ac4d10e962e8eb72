"""After a crash: a turn that has no end gets one, and its unfinished actions are unknown."""

from __future__ import annotations

from llmasos.agent.recording import record
from llmasos.agent.stream import EventStream
from llmasos.agent.turn import TurnEnd, abridged
from llmasos.errors import LedgerError
from llmasos.events import ActionFinished, ActionStarted, Notice, TurnStarted
from llmasos.ledger import Ledger

_UNKNOWN = "The kernel stopped while this ran; whether it took effect is not known."
_WHY = "The kernel stopped during this turn."


async def settle(turn: str, session: str, stream: EventStream, ledger: Ledger) -> TurnEnd:
    """Record that a turn's unfinished actions are unknown, and return its end; nothing is run again."""
    events = await stream.read(turn=turn)
    unfinished = {event.action: event.tool for event in events if isinstance(event, ActionStarted)}
    for event in events:
        if isinstance(event, ActionFinished):
            unfinished.pop(event.action, None)
    for action, tool in unfinished.items():
        try:
            await record(ledger, session, "outcome", action=action, tool=tool, turn=turn, status="unknown")
        except LedgerError as error:
            await stream.append(Notice(turn=turn, level="error", text=str(error)))
        await stream.append(
            ActionFinished(turn=turn, action=action, tool=tool, status="unknown", result=_UNKNOWN)
        )
    request = next((event.text for event in events if isinstance(event, TurnStarted)), "")
    return TurnEnd(
        "failed",
        error=_WHY,
        hint="Nothing was run again. Look at /diff, then ask again if you still want it.",
        messages=abridged(request, _WHY),
    )
