"""Comparing what the sessions' events say was done with what the ledger holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow
from llmasos.agent.approvals import sha256_json
from llmasos.events import EVENT, ActionFinished, ActionStarted
from llmasos.store import Store

_CHECKED = ("action_started", "action_finished")
_AT_ONCE = 500

Bodies = Mapping[tuple[str, str], Mapping[str, object]]


async def audit_events(store: Store, bodies: Bodies) -> tuple[str, ...]:
    """Return what is wrong with the stored events, the first bad one first.

    Args:
        store: The database.
        bodies: What the ledger recorded, by action and kind (`intent`, or `outcome` for every end).
    """

    def check(transaction: Transaction) -> tuple[str, ...]:
        query = (
            select(EventRow.session, EventRow.seq, EventRow.body)
            .where(EventRow.type.in_(_CHECKED))
            .order_by(EventRow.session, EventRow.seq)
            .execution_options(yield_per=_AT_ONCE)
        )
        return tuple(
            f"session {session}, event {seq}: {problem}"
            for session, seq, body in transaction.execute(query)
            for problem in _problems(body, bodies)
        )

    return await store.run(check)


def _problems(body: str, bodies: Bodies) -> Iterator[str]:
    try:
        event = EVENT.validate_json(body)
    except ValueError:
        yield "it cannot be read any more"
        return
    if isinstance(event, ActionStarted):
        recorded = bodies.get((event.action, "intent"))
        if recorded is None:
            yield f"the action {event.action} ({event.tool}) has no recorded intent"
        elif recorded.get("arguments_sha256") != sha256_json(event.arguments):
            yield f"the arguments of {event.action} ({event.tool}) are not those that were recorded"
    elif isinstance(event, ActionFinished) and event.status not in ("invalid", "denied"):
        recorded = bodies.get((event.action, "outcome"))
        if recorded is None:
            yield f"the action {event.action} ({event.tool}) has no recorded outcome"
        elif recorded.get("status") != event.status:
            yield f"the outcome of {event.action} ({event.tool}) is not the one that was recorded"
        elif "result_sha256" in recorded and recorded["result_sha256"] != sha256_result(event.result):
            yield f"the result of {event.action} ({event.tool}) is not the one that was recorded"


def sha256_result(text: str) -> str:
    """Return the SHA-256 of an action's result in hex."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
