"""After a crash: a turn that has no end gets one, and so do its unfinished actions."""

from __future__ import annotations

from llmasos.agent.audit import LOST_RESULT
from llmasos.agent.recording import record
from llmasos.agent.steering import whole
from llmasos.agent.stream import EventStream
from llmasos.agent.turn import TurnEnd, abridged
from llmasos.errors import LedgerError
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ActionStatus,
    CallDecided,
    Notice,
    TurnStarted,
    TurnSteered,
)
from llmasos.ledger import Ledger

_UNKNOWN = "The kernel stopped while this ran; whether it took effect is not known."
_WHY = "The kernel stopped during this turn."


async def settle(turn: str, session: str, stream: EventStream, ledger: Ledger) -> TurnEnd:
    """Give each unfinished action of a turn its end, and return the turn's; nothing is run again.

    What the ledger already says of an action stands, also where the kernel stopped before it was told.
    """
    events = await stream.read(turn=turn)
    started = {event.action for event in events if isinstance(event, ActionStarted)}
    unfinished = {
        event.action: event.tool for event in events if isinstance(event, CallDecided | ActionStarted)
    }
    for event in events:
        if isinstance(event, ActionFinished):
            unfinished.pop(event.action, None)
    recorded = await ledger.recorded(list(unfinished))
    for action, tool in unfinished.items():
        status: ActionStatus = "unknown"
        result = _UNKNOWN
        if (action, "outcome") in recorded:
            status = (recorded[action, "outcome"] or {}).get("status", status)
            result = LOST_RESULT
        elif action in started or (action, "intent") in recorded:
            try:
                await record(
                    ledger, session, "outcome", action=action, tool=tool, turn=turn, status="unknown"
                )
            except LedgerError as error:
                await stream.append(Notice(turn=turn, level="error", text=str(error)))
        else:
            continue
        await stream.append(ActionFinished(turn=turn, action=action, tool=tool, status=status, result=result))
    request = next((event.text for event in events if isinstance(event, TurnStarted)), "")
    steered = [event.text for event in events if isinstance(event, TurnSteered)]
    return TurnEnd(
        "failed",
        error=_WHY,
        hint="Nothing was run again. Look at /diff, then ask again if you still want it.",
        messages=abridged(whole(request, steered), _WHY),
    )
