"""What a crash left behind gets exactly one end, whatever it had reached."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session as Transaction

from llmasos.agent import audit_events
from llmasos.agent._tables import EventRow, TurnRow
from llmasos.agent.audit import LOST_RESULT
from llmasos.events import ActionFinished
from llmasos.ledger import Filter
from tests.agent.conftest import MakeStage, Stage

WRITE = 'write_file(path="b.txt")\n```\nnew\n```'

pytestmark = pytest.mark.anyio


async def crash_after(it: Stage, last: str, *, recorded: int) -> None:
    """Take the database, and the ledger, back to the moment after an event of a kind was stored."""

    def forget(transaction: Transaction) -> None:
        seq = transaction.scalar(select(EventRow.seq).where(EventRow.type == last))
        assert seq is not None
        transaction.execute(delete(EventRow).where(EventRow.seq > seq))
        transaction.execute(update(TurnRow).values(status="", messages=""))

    await it.store.run(forget)
    del it.ledger._rows[recorded:]


@pytest.mark.parametrize(
    ("last", "kinds", "status"),
    [
        # The person was asked, or nothing was decided on: nothing ran, so nothing has an outcome.
        ("call_decided", ["session", "model"], None),
        # The intent was recorded, and not told.
        ("call_decided", ["session", "model", "intent"], "unknown"),
        ("action_started", ["session", "model", "intent"], "unknown"),
        # The outcome was recorded, and not told.
        ("action_started", ["session", "model", "intent", "outcome"], "ok"),
    ],
)
async def test_an_action_has_one_outcome_whenever_the_kernel_stopped(
    stage: MakeStage, last: str, kinds: list[str], status: str | None
) -> None:
    async with stage(WRITE, "Answer: done.") as it:
        session = await it.session()
        await it.turn(session, "write b.txt")
        made = [row.kind for row in await it.ledger.records(Filter(session=session.id))]
        assert made[: len(kinds)] == kinds
        await crash_after(it, last, recorded=len(kinds))

        for _ in range(2):
            await session.recover()
            ends = [event for event in await session.stream.read() if isinstance(event, ActionFinished)]
            assert [end.status for end in ends] == ([status] if status else [])
            found = [row.kind for row in await it.ledger.records(Filter(session=session.id))]
            assert found.count("outcome") == (1 if status else 0)
        assert all((end.result == LOST_RESULT) == (status == "ok") for end in ends)
        assert (await audit_events(it.store, it.ledger)).problems == ()
