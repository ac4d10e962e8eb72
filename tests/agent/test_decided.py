"""What was decided, over all sessions."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from llmasos.agent.decided import newest_decisions, newest_places
from tests.agent.conftest import MakeStage

pytestmark = pytest.mark.anyio
WRITE = 'write_file(path="{}")\n```\nx\n```'


async def test_the_newest_decisions_come_first_of_those_that_may_be_seen(stage: MakeStage) -> None:
    settings = WRITE.format(".vscode/settings.json")
    replies = [
        WRITE.format("a.txt"),
        "Answer: one.",
        settings,
        "Answer: two.",
        WRITE.format("b.txt"),
        "Answer: no.",
    ]
    async with stage(*replies) as it:
        first, second = await it.session(), await it.session()
        await it.turn(first, "write a")
        await it.turn(second, "write settings")
        await it.turn(first, "write b")
        found = await newest_decisions(it.store, 10)
        assert [one.call.arguments["path"] for one in found] == ["b.txt", ".vscode/settings.json", "a.txt"]
        assert [one.call.decision.verdict for one in found] == ["allow", "ask", "allow"]
        assert [one.answer.approved if one.answer else None for one in found] == [None, False, None]
        assert [one.call.session for one in await newest_decisions(it.store, 2)] == [first.id, first.id]
        assert [one.call.session for one in await newest_decisions(it.store, 10, [second.id])] == [second.id]
        assert await newest_decisions(it.store, 10, []) == []
        calls, answers = await newest_places(it.store, 1)
        assert [session for session, _ in calls] == [first.id] and answers == []
        calls, answers = await newest_places(it.store, 10)
        assert len(calls) == 3 and [session for session, _ in answers] == [second.id]


async def test_events_of_other_types_are_not_looked_at(stage: MakeStage) -> None:
    async with stage() as it:
        query = "SELECT seq FROM events WHERE session = 's' AND type = 'call_decided' ORDER BY seq DESC"
        with it.store.engine.connect() as connection:
            plan = str(connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).fetchall())
        assert "COVERING INDEX ix_events_session_type (session=? AND type=?)" in plan
        assert "TEMP B-TREE" not in plan
