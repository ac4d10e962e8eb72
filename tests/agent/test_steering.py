"""What a person says to a turn while it runs: the model reads it, or they are told that it came too late."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session as Transaction

from llmasos.agent import Session
from llmasos.agent import _records as records
from llmasos.agent._tables import TurnRow
from llmasos.agent.provenance import Tracker
from llmasos.api import ToolCall, TurnRequest
from llmasos.errors import IdleSessionError, ModelError, SessionError
from llmasos.events import ActionFinished, ActionStarted, TurnFinished, TurnStarted, TurnSteered
from llmasos.models import FakeEngine
from llmasos.models.engines.port import Chunk, CompletionRequest
from llmasos.tools import Capabilities, KernelContext, kernel_tool
from tests.agent.conftest import MakeStage
from tests.agent.test_turn import hang

pytestmark = pytest.mark.anyio
READ = 'read_file(path="notes.txt")'


class Speaking(FakeEngine):
    """Has a person speak at the beginning of a reply, or after its last word."""

    def __init__(self, *replies: str | Exception, at: int, late: bool = False) -> None:
        super().__init__(replies)
        self.speak: Callable[[], Awaitable[object]] | None = None
        self._at = at
        self._late = late

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        now = len(self.requests) == self._at and self.speak is not None
        if now and not self._late:
            await self._once()
        async for chunk in super().stream(request):
            yield chunk
        if now and self._late:
            await self._once()

    async def _once(self) -> None:
        assert self.speak is not None
        speak, self.speak = self.speak, None
        await speak()


def said(engine: FakeEngine, request: int) -> str:
    return "\n".join(turn.content for turn in engine.requests[request].turns)


async def test_the_model_reads_it_with_its_next_request(stage: MakeStage) -> None:
    engine = Speaking(READ, "Answer: Es ist schön.", "Answer: again", at=0)
    async with stage(engine=engine) as it:
        session = await it.session()
        engine.speak = lambda: session.steer("say it in German, please")
        end = await it.turn(session, "how is the weather in notes.txt?")
        assert (end.status, end.answer) == ("done", "Es ist schön.")
        assert "say it in German" not in said(engine, 0)
        last = engine.requests[1].turns[-1]
        assert last.role == "user" and last.content.endswith("say it in German, please")
        assert "今天天气很好" in last.content
        [steered] = it.of(TurnSteered)
        assert (steered.turn, steered.text) == (end.turn, "say it in German, please")
        await it.turn(session, "and now?")
        assert "say it in German, please" in said(engine, 2)


async def test_what_comes_with_the_last_word_has_the_turn_go_on(stage: MakeStage) -> None:
    engine = Speaking("Answer: four", "Answer: cuatro", at=0, late=True)
    async with stage(engine=engine) as it:
        session = await it.session()
        engine.speak = lambda: session.steer("in Spanish")
        end = await it.turn(session, "two and two?")
        assert (end.status, end.answer) == ("done", "cuatro")
        assert [turn.content for turn in engine.requests[1].turns[-2:]] == ["Answer: four", "in Spanish"]
        kinds = [event.type for event in await session.stream.read()]
        assert kinds == [
            "turn_started", "turn_steered", "assistant_text", "assistant_text", "turn_finished"
        ]  # fmt: skip


async def test_what_comes_before_the_model_is_there_is_read_at_first(stage: MakeStage) -> None:
    async with stage("Answer: vier") as it:
        session = await it.session()
        accepted = await session.start(TurnRequest(text="two and two?", approve="deny"))
        told = await session.steer("in German")
        assert told.turn == accepted.turn and told.after > accepted.after
        await session.wait()
        assert "two and two?" in said(it.engine, 0) and "in German" in said(it.engine, 0)


async def test_what_is_said_as_a_turn_begins_is_said_to_that_turn(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn is being stored: it has not begun for those who follow."""
    async with stage("Answer: 1", "Answer: vier") as it:
        session = await it.session()
        await it.turn(session, "one")
        storing, go_on = anyio.Event(), anyio.Event()
        insert = records.insert_turn

        async def slow(*given: Any, **options: Any) -> None:
            storing.set()
            await go_on.wait()
            await insert(*given, **options)

        monkeypatch.setattr(records, "insert_turn", slow)
        told: list[str] = []

        async def steer() -> None:
            told.append((await session.steer("in German")).turn)

        async with anyio.create_task_group() as group:
            group.start_soon(session.start, TurnRequest(text="two and two?", approve="deny"))
            await storing.wait()
            group.start_soon(steer)
            await anyio.wait_all_tasks_blocked()
            go_on.set()
        await session.wait()
        started = [event for event in await session.stream.read() if isinstance(event, TurnStarted)][-1]
        [steered] = [event for event in await session.stream.read() if isinstance(event, TurnSteered)]
        assert told == [started.turn] == [steered.turn] and started.seq < steered.seq
        assert "in German" in said(it.engine, 1)


async def test_without_a_turn_it_is_refused(stage: MakeStage) -> None:
    async with stage("Answer: four") as it:
        session = await it.session()
        with pytest.raises(IdleSessionError, match="No turn is running") as caught:
            await session.steer("hello")
        assert caught.value.code == "idle" and "request of its own" in caught.value.hint
        await it.turn(session, "two and two?")
        with pytest.raises(IdleSessionError):
            await session.steer("hello")
        with pytest.raises(SessionError, match="nothing to say"):
            await session.steer(" \n")
        assert not any(isinstance(event, TurnSteered) for event in await session.stream.read())


async def test_a_turn_that_ended_meanwhile_refuses_it(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn is over for the model, and not stored yet: nothing could read a word more."""
    async with stage("Answer: four") as it:
        session = await it.session()
        refused: list[IdleSessionError] = []
        end = type(session)._end

        async def late(self: Session, *given: object, **options: object) -> None:
            with pytest.raises(IdleSessionError) as caught:
                await self.steer("one more thing")
            refused.append(caught.value)
            await end(self, *given, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(type(session), "_end", late)
        assert (await it.turn(session, "two and two?")).answer == "four"
        assert len(refused) == 1 and not it.of(TurnSteered)


async def test_a_call_without_a_model_takes_nothing_more(stage: MakeStage) -> None:
    async with stage(tools=(hang,)) as it:
        session = await it.session()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: it.turn(session, "hang", call=ToolCall(tool="hang")))
            async with session.stream.follow() as events:
                async for event in events:
                    if isinstance(event, ActionStarted):
                        break
            with pytest.raises(SessionError, match="asks no model"):
                await session.steer("hurry")
            await session.cancel()


async def test_it_stays_when_the_turn_is_cancelled_or_fails(stage: MakeStage) -> None:
    engine = Speaking("hang()", ModelError("It broke."), "Answer: fine", at=1)
    async with stage(engine=engine, tools=(hang,)) as it:
        session = await it.session()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.turn, session, "hang about")
            async with session.stream.follow() as events:
                async for event in events:
                    if isinstance(event, ActionStarted):
                        await session.steer("use 4711")
                        break
            await session.cancel()
        engine.speak = lambda: session.steer("and 4712")
        assert (await it.turn(session, "try")).status == "failed"
        assert (await it.turn(session, "what did I say?")).status == "done"
        assert "hang about\n\nuse 4711" in said(engine, 2) and "try\n\nand 4712" in said(engine, 2)
        assert session._listening is not None
        tracker = session._listening.tracker
        assert tracker.named("4711") and tracker.named("4712")


async def test_a_crash_keeps_it(stage: MakeStage) -> None:
    engine = Speaking(READ, "Answer: fine", "Answer: again", at=0)
    async with stage(engine=engine) as it:
        session = await it.session()
        engine.speak = lambda: session.steer("mind the gap")
        await it.turn(session, "read it")

        def forget(transaction: Transaction) -> None:
            transaction.execute(update(TurnRow).values(status="", messages=""))

        await it.store.run(forget)
        await session.recover()
        await it.turn(session, "what now?")
        assert "read it\n\nmind the gap" in said(engine, 2)


async def test_it_is_the_persons_word(stage: MakeStage) -> None:
    """A place that the person names counts as theirs once the model can have read it, and after that."""
    seen: list[bool] = []
    holder: list[Session] = []

    @kernel_tool(capabilities=Capabilities(reads=True))
    async def look(ctx: KernelContext) -> str:
        """Look."""
        listening = holder[0]._listening
        assert listening is not None
        seen.append(listening.tracker.named("out/report.md"))
        return "nothing"

    engine = Speaking("look()", READ, "look()", "Answer: done", at=1)
    async with stage(engine=engine, tools=(look,)) as it:
        holder.append(session := await it.session())
        engine.speak = lambda: session.steer("put it into out/report.md")
        assert (await it.turn(session, "go")).status == "done"
        assert seen == [False, True]
        restored = Tracker.restored(await session.stream.read())
        assert restored.named("out/report.md")


async def test_secrets_are_taken_out(stage: MakeStage) -> None:
    engine = Speaking(READ, "Answer: ok", at=0)
    async with stage(engine=engine) as it:
        session = await it.session()
        secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
        engine.speak = lambda: session.steer(f"log in with {secret}")
        await it.turn(session, "go")
        assert secret not in said(engine, 1)
        assert secret not in "".join(event.model_dump_json() for event in it.events)


async def test_every_event_of_the_turn_comes_before_its_end(stage: MakeStage) -> None:
    async with stage("hang()", tools=(hang,)) as it:
        session = await it.session()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.turn, session, "hang")
            async with session.stream.follow() as events:
                async for event in events:
                    if isinstance(event, ActionStarted):
                        break
            for number in range(5):
                tasks.start_soon(_try, session, f"number {number}")
            await session.cancel()
        stored = await session.stream.read()
        assert isinstance(stored[0], TurnStarted) and isinstance(stored[-1], TurnFinished)
        assert any(isinstance(event, ActionFinished) for event in stored)


async def _try(session: Session, text: str) -> None:
    try:
        await session.steer(text)
    except IdleSessionError:
        return
