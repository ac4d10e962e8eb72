"""An engine that shares its model with everybody else."""

import anyio
import pytest

from llmasos.models.engines.port import CompletionRequest, ContextExceeded, Turn
from llmasos.models.scheduler.scheduled import ScheduledEngine
from llmasos.models.scheduler.types import Client, Refused
from tests.models.scheduler.slow import SIZE, ask, bench, text, until

pytestmark = pytest.mark.anyio

PREFIX = (Turn(role="system", content="Be brief."),)


async def test_it_does_what_its_engine_does_and_loads_it_first() -> None:
    async with bench("a", context=500) as it:
        engine = ScheduledEngine(it.scheduler, "a", Client(session="s", tenant="t"))
        assert (engine.name, engine.context, engine.slots) == ("a", 500, 1)
        assert not it.loader.engines
        assert await engine.render([{"role": "user", "content": "hi"}]) == "user: hi"
        assert await engine.count(ask(1)) == 2
        assert (await engine.embed(["x"])).vectors == ((1.0, 0.0),)
        assert (await engine.footprint()).total == SIZE
        assert "".join([chunk.text async for chunk in engine.stream(ask(3))]) == text(3)
        inner = it.loader.last("a")
        assert (inner.requests[0].session, inner.requests[0].tenant) == ("s", "t")
        await engine.close()
        assert not inner.closed
        assert await engine.park() == 0 and not inner.parked


async def test_what_the_request_says_of_itself_is_kept() -> None:
    async with bench("a") as it:
        engine = ScheduledEngine(it.scheduler, "a", Client(session="s", tenant="t"))
        assert [chunk async for chunk in engine.stream(ask(1, session="own", tenant="other"))]
        assert (it.loader.last("a").requests[0].session, it.loader.last("a").requests[0].tenant) == (
            "own",
            "other",
        )


async def test_a_prefix_is_read_once_for_each_load_and_for_all_tenants() -> None:
    async with bench("a") as it:
        one, other = (ScheduledEngine(it.scheduler, "a", Client(session=name)) for name in "xy")
        for engine in (one, one, other):
            await engine.prepare(PREFIX)
        assert it.loader.last("a").prepared == [PREFIX]
        await ScheduledEngine(it.scheduler, "a", Client(tenant="t")).prepare(PREFIX)
        assert it.loader.last("a").prepared == [PREFIX]
        await it.scheduler.ask("a", "unload")
        await one.prepare(PREFIX)
        assert it.loader.last("a").prepared == [PREFIX]


async def test_short_questions_do_not_wait_for_a_slot() -> None:
    async with bench("a") as it:
        it.loader.held = True
        engine = ScheduledEngine(it.scheduler, "a")
        async with anyio.create_task_group() as group:
            group.start_soon(it.read, "a", 2)
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            assert await engine.count(ask(1)) == 2
            assert await engine.render([]) == ""
            it.loader.last("a").allow(2)


async def test_long_texts_are_left_to_the_engine_to_judge() -> None:
    async with bench("a", context=100) as it:
        engine = ScheduledEngine(it.scheduler, "a")
        long = tuple(Turn(role="user", content="word " * 80) for _ in range(1))
        assert "".join([c.text async for c in engine.stream(ask(20, turns=long))]) == text(20)
        it.loader.last("a").faults["step"] = ContextExceeded("Too long.")
        with pytest.raises(ContextExceeded):
            [chunk async for chunk in engine.stream(ask(20, turns=long))]
        with pytest.raises(Refused) as caught:
            [chunk async for chunk in engine.stream(ask(101))]
        assert caught.value.status == 400
        assert len((await engine.embed(["word " * 2_000])).vectors) == 1


async def test_who_asks_decides_who_is_served_first() -> None:
    async with bench("a") as it:
        it.loader.held = True
        order: list[str] = []

        async def read(name: str, client: Client) -> None:
            engine = ScheduledEngine(it.scheduler, "a", client)
            assert "".join([chunk.text async for chunk in engine.stream(ask(1))]) == text(1)
            order.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(read, "first", Client(session="0"))
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            group.start_soon(read, "batch", Client(session="1", band="batch"))
            await until(lambda: len(it.scheduler.effects.tickets) == 2)
            group.start_soon(read, "normal", Client(session="2"))
            await until(lambda: len(it.scheduler.effects.tickets) == 3)
            group.start_soon(read, "person", Client(session="3", band="interactive"))
            await until(lambda: len(it.scheduler.effects.tickets) == 4)
            it.loader.last("a").allow(4)
        assert order == ["first", "person", "normal", "batch"]


async def test_what_is_surely_too_long_is_refused_before_any_engine_reads_it() -> None:
    long = "x" * (500 * 128 + 128)
    async with bench("a", context=500) as it:
        engine = ScheduledEngine(it.scheduler, "a")
        for asked in (
            engine.count(CompletionRequest(prompt=long)),
            engine.count(CompletionRequest(turns=(Turn(role="user", content=long),))),
            engine.render([{"role": "user", "content": long}]),
            engine.render([{"role": "user", "tool_calls": [{"function": {"arguments": {"text": long}}}]}]),
            engine.prepare((Turn(role="system", content=long),)),
            engine.embed(["short", long]),
        ):
            with pytest.raises(ContextExceeded, match="characters are too long for a, which keeps 500"):
                await asked
        assert not it.loader.engines


async def test_many_characters_may_be_few_tokens() -> None:
    # A run of spaces is a token.
    async with bench("a", context=500) as it:
        engine = ScheduledEngine(it.scheduler, "a")
        assert [chunk async for chunk in engine.stream(ask(1, prompt=" " * 400 * 100))]
