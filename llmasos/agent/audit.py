"""Comparing what the sessions' events say was done with what the ledger holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow
from llmasos.agent.approvals import sha256_json
from llmasos.events import EVENT, ActionFinished, ActionStarted, Event
from llmasos.ledger import Ledger
from llmasos.store import Store

_CHECKED = ("action_started", "action_finished")
_AT_ONCE = 500
_MOST_PROBLEMS = 100
_REFUSED = ("invalid", "denied")

LOST_RESULT = "The kernel stopped before this result was kept; the ledger holds its hash."
"""Stands for the text of a result that was recorded, and lost before it was stored."""

Bodies = Mapping[tuple[str, str], Mapping[str, object] | None]


@dataclass(frozen=True)
class Audit:
    """What came of comparing the stored events with the ledger.

    Args:
        events: How many were compared.
        erased: How many could not be, because what was recorded of them was erased.
        problems: What is wrong, the first bad event first; after a hundred, no more are looked for.
    """

    events: int
    erased: int
    problems: tuple[str, ...]


async def audit_events(
    store: Store, ledger: Ledger, progress: Callable[[int, int], None] = lambda done, total: None
) -> Audit:
    """Compare the stored events with what the ledger recorded of their actions, a page at a time.

    Args:
        store: The database.
        ledger: What was recorded.
        progress: Called with the number of events compared and their total.
    """
    total = await store.run(_count)
    done = erased = 0
    problems: list[str] = []
    place = ("", 0)
    while page := await store.run(partial(_page, after=place)):
        events = [(f"session {session}, event {seq}", _parsed(body)) for session, seq, body in page]
        actions = {event.action for _, event in events if event is not None}
        bodies = await ledger.recorded(sorted(actions))
        for where, event in events:
            if event is None:
                problems.append(f"{where}: it cannot be read any more")
                continue
            erased += bodies.get(_key(event), {}) is None
            problems += [f"{where}: {problem}" for problem in differences(event, bodies)]
        done += len(page)
        place = (page[-1][0], page[-1][1])
        progress(done, max(done, total))
        if len(problems) >= _MOST_PROBLEMS:
            break
    return Audit(done, erased, tuple(problems[:_MOST_PROBLEMS]))


def _count(transaction: Transaction) -> int:
    query = select(func.count()).select_from(EventRow).where(EventRow.type.in_(_CHECKED))
    return transaction.scalar(query) or 0


def _page(transaction: Transaction, after: tuple[str, int]) -> list[tuple[str, int, str]]:
    query = (
        select(EventRow.session, EventRow.seq, EventRow.body)
        .where(EventRow.type.in_(_CHECKED), tuple_(EventRow.session, EventRow.seq) > after)
        .order_by(EventRow.session, EventRow.seq)
        .limit(_AT_ONCE)
    )
    return [(session, seq, body) for session, seq, body in transaction.execute(query)]


def _parsed(body: str) -> ActionStarted | ActionFinished | None:
    try:
        event: Event = EVENT.validate_json(body)
    except ValueError:
        return None
    return event if isinstance(event, ActionStarted | ActionFinished) else None


def _key(event: ActionStarted | ActionFinished) -> tuple[str, str]:
    return event.action, "intent" if isinstance(event, ActionStarted) else "outcome"


def differences(event: ActionStarted | ActionFinished, bodies: Bodies) -> Iterator[str]:
    """Yield how an event differs from what was recorded of its action.

    Args:
        event: The event.
        bodies: What was recorded, by action and `intent` or `outcome`; None for what was erased.
    """
    key, what = _key(event), f"{event.action} ({event.tool})"
    recorded = bodies.get(key, {})
    if recorded is None:
        return
    if not recorded:
        # Calls that did not run were not always recorded.
        if not (isinstance(event, ActionFinished) and event.status in _REFUSED):
            yield f"the action {what} has no recorded {key[1]}"
    elif isinstance(event, ActionStarted):
        if recorded.get("arguments_sha256") != sha256_json(event.arguments):
            yield f"the arguments of {what} are not those that were recorded"
    elif recorded.get("status") != event.status:
        yield f"the outcome of {what} is not the one that was recorded"
    elif event.arguments is not None and recorded.get("arguments_sha256") != sha256_json(event.arguments):
        yield f"the arguments of {what} are not those that were recorded"
    elif event.result == LOST_RESULT:
        return
    elif "result_sha256" in recorded and recorded["result_sha256"] != sha256_result(event.result):
        yield f"the result of {what} is not the one that was recorded"


def sha256_result(text: str) -> str:
    """Return the SHA-256 of an action's result in hex."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
