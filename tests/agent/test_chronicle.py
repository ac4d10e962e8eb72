"""What is kept of a session, whose folder may be gone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from llmasos.errors import SessionError, WorkspaceError
from llmasos.events import Event, TurnFinished, TurnStarted
from tests.agent.conftest import MakeStage

pytestmark = pytest.mark.anyio


async def test_what_happened_is_told_without_the_folder(stage: MakeStage) -> None:
    async with stage("Answer: 1") as it:
        session = await it.session()
        await it.turn(session, "one")
        await it.sessions.close()
        it.folder.rename(it.folder.with_name("elsewhere"))
        with pytest.raises(WorkspaceError, match="is not there any more"):
            await it.sessions.get(session.id)
        told = await it.sessions.chronicle(session.id)
        assert [event.text for event in await told.stream.read() if isinstance(event, TurnStarted)] == ["one"]
        await told.rename("Past")
        assert (await told.info()).title == "Past" and not (await told.info()).running


async def test_who_follows_hears_what_happens_once_the_folder_is_back(stage: MakeStage) -> None:
    async with stage("Answer: 1", "Answer: 2") as it:
        session = await it.session()
        await it.turn(session, "one")
        await it.sessions.close()
        away = it.folder.rename(it.folder.with_name("elsewhere"))
        told = await it.sessions.chronicle(session.id)
        async with told.stream.follow(None) as events:
            away.rename(it.folder)
            again = await it.sessions.get(session.id)
            assert again.chronicle is told
            await it.turn(again, "two")
            with anyio.fail_after(60):
                heard = [event async for event in _until_end(events)]
            assert [event.answer for event in heard if isinstance(event, TurnFinished)] == ["2"]


async def _until_end(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if isinstance(event, TurnFinished):
            return


async def test_a_session_that_never_was_is_named(stage: MakeStage) -> None:
    async with stage() as it:
        for name in ("s-0000000000", "", "../x"):
            with pytest.raises(SessionError, match="no session"):
                await it.sessions.chronicle(name)
