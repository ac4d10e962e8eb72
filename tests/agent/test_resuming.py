"""A session that is opened again: its tail is read alone, and its past is known before a call is decided."""

from __future__ import annotations

import anyio
import pytest

from llmasos.agent import Session
from llmasos.agent.provenance import Tracker
from llmasos.errors import ConfigError
from llmasos.events import ActionFinished, TurnStarted
from llmasos.models import FakeEngine
from llmasos.tools import Capabilities, KernelContext, kernel_tool
from tests.agent.conftest import MakeStage
from tests.agent.test_steering import Speaking

pytestmark = pytest.mark.anyio


async def test_the_newest_turns_are_read_alone(stage: MakeStage) -> None:
    async with stage(*["Answer: ok"] * 5) as it:
        session = await it.session()
        assert await session.stream.tail(1) == 0
        for number in range(4):
            await it.turn(session, f"number {number}")
        fork = await it.sessions.fork(session.id)
        await it.turn(fork, "number 4")
        for turns in range(1, 6):
            events = await fork.stream.read(await fork.stream.tail(turns))
            said = [event.text for event in events if isinstance(event, TurnStarted)]
            assert said == [f"number {number}" for number in range(5 - turns, 5)]
            assert isinstance(events[0], TurnStarted)
        assert await fork.stream.tail(6) == 0
        assert {event.type for event in await fork.stream.read(types=("turn_finished",))} == {"turn_finished"}


async def test_the_model_is_asked_while_the_past_is_read(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The past is complete, and in its order, before any call is decided on."""
    seen: list[bool] = []
    holder: list[Session] = []

    @kernel_tool(capabilities=Capabilities(reads=True))
    async def look(ctx: KernelContext) -> str:
        """Look."""
        listening = holder[-1]._listening
        assert listening is not None
        seen.extend(map(listening.tracker.named, ("earlier.txt", "now.txt", "steered.txt", "never.txt")))
        return "ok"

    engine = Speaking("Answer: fine", "look()", "Answer: done", at=1)
    async with stage(engine=engine, tools=(look,)) as it:
        session = await it.session()
        await it.turn(session, "mind earlier.txt")
        await it.sessions.close()
        session = await it.sessions.get(session.id)
        holder.append(session)
        read, may = session.stream.read, anyio.Event()

        async def slow(*given: object, **options: object) -> object:
            if "types" in options:
                await may.wait()
            return await read(*given, **options)  # type: ignore[arg-type]

        async def asked() -> None:
            assert session._listening is not None and not session._listening._done.is_set()
            await session.steer("and steered.txt")
            may.set()

        engine.speak = asked
        monkeypatch.setattr(session.stream, "read", slow)
        assert (await it.turn(session, "mind now.txt")).status == "done"
        assert seen == [True, True, True, False]


async def test_a_past_that_cannot_be_read_fails_the_turn_and_is_read_the_next_time(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = ['read_file(path="notes.txt")', 'read_file(path="notes.txt")', "Answer: done"]
    async with stage(engine=FakeEngine(replies)) as it:
        session = await it.session()

        def broken(self: Tracker, *_: object) -> None:
            raise ConfigError("The database cannot be used.", hint="Free space.")

        with monkeypatch.context() as patch:
            patch.setattr(Tracker, "restore", broken)
            end = await it.turn(session, "read it")
        assert (end.status, end.error) == ("failed", "The database cannot be used.")
        assert (await it.turn(session, "read it")).status == "done"
        assert [event.status for event in it.of(ActionFinished)] == ["ok"]
