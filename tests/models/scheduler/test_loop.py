"""The scheduler's loop: streams, turns, readers that leave or are slow."""

import anyio
import pytest

from llmasos.errors import ModelError
from llmasos.models.engines.port import Chunk, TokenUsage
from llmasos.models.scheduler.types import Client, Refused, Rules
from tests.models.scheduler.slow import SIZE, ask, bench, text, until, word

pytestmark = pytest.mark.anyio

INTERACTIVE = Client(session="person", band="interactive")
BATCH = Client(session="batch", band="batch")


async def test_a_reply_is_streamed_and_the_model_is_loaded_once() -> None:
    async with bench("a") as it:
        assert await it.read("a", 5) == text(5)
        assert await it.read("a", 3) == text(3)
        assert len(it.loader.engines) == 1
        assert it.device.taken == SIZE


async def test_a_reader_that_leaves_stops_the_decoding_within_a_step() -> None:
    async with bench("a") as it:
        it.loader.held = True
        stream = it.scheduler.stream("a", ask(100))

        async def allow() -> None:
            await until(lambda: it.loader.engines)
            it.loader.last("a").allow()

        async with anyio.create_task_group() as group:
            group.start_soon(allow)
            assert (await anext(stream)).text == word(0)
        engine = it.loader.last("a")
        await stream.aclose()
        assert (engine.running, engine.steps, engine.stopped) == (0, 1, 1)
        engine.free = True
        engine.allow()
        assert await it.read("a", 2) == text(2)


async def test_a_cancelled_reader_stops_the_decoding() -> None:
    async with bench("a") as it:
        it.loader.held = True
        async with anyio.create_task_group() as group:
            group.start_soon(it.read, "a", 100)
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            group.cancel_scope.cancel()
        assert it.loader.last("a").running == 0
        assert not it.scheduler.state.jobs


async def test_one_who_waits_may_leave() -> None:
    async with bench("a") as it:
        it.loader.held = True
        async with anyio.create_task_group() as group:
            group.start_soon(it.read, "a", 4, Client(session="first"))
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(it.read, "a", 4, Client(session="second"))
                    await until(lambda: len(it.scheduler.effects.tickets) == 2)
                    scope.cancel()
            assert len(it.scheduler.effects.tickets) == 1
            it.loader.last("a").allow(4)
        assert len(it.loader.last("a").requests) == 1


async def test_a_client_is_told_what_was_done_for_it_and_nothing_before_it_began() -> None:
    told: dict[str, list[TokenUsage]] = {"whole": [], "reading": [], "waiting": [], "called": []}
    clients = {name: Client(session=name, used=told[name].append) for name in told}
    async with bench("a") as it:
        await it.read("a", 3, clients["whole"])
        await it.scheduler.call("a", lambda engine: engine.embed(["x"]), clients["called"], tokens=7)
        it.loader.last("a").free = False
        async with anyio.create_task_group() as group:
            group.start_soon(it.read, "a", 100, clients["reading"])
            await until(lambda: it.loader.last("a").running)
            group.start_soon(it.read, "a", 100, clients["waiting"])
            await until(lambda: len(it.scheduler.effects.tickets) == 2)
            group.cancel_scope.cancel()
    (whole,), (called,), (reading,) = told["whole"], told["called"], told["reading"]
    assert whole.output == 3 and whole.input > 0 and called.input == 7
    assert reading.input > 0 and reading.output == 0
    assert told["waiting"] == []


async def test_a_preempted_reply_goes_on_as_if_nothing_had_been() -> None:
    async with bench("a") as it:
        it.loader.held = True
        got: list[str] = []

        async def batch() -> None:
            got.append(await it.read("a", 300, BATCH))

        async with anyio.create_task_group() as group:
            group.start_soon(batch)
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            engine = it.loader.last("a")
            engine.allow(200)
            await until(lambda: engine.steps == 200)
            engine.free = True
            engine.allow()
            assert await it.read("a", 5, INTERACTIVE) == text(5)
            assert not got
        assert got == [text(300)]
        first, person, resumed = engine.requests
        assert (first.kept, person.kept) == ((), ())
        assert resumed.kept == tuple(range(len(resumed.kept))) and len(resumed.kept) >= 200
        assert engine.most == 1


async def test_what_cannot_be_resumed_is_not_preempted() -> None:
    async with bench("a") as it:
        it.loader.held = True
        order: list[str] = []

        async def read(name: str, tokens: int, client: Client, grammar: str) -> None:
            assert await it.read("a", tokens, client, grammar=grammar) == text(tokens)
            order.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(read, "batch", 300, BATCH, "root ::= .*")
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            engine = it.loader.last("a")
            group.start_soon(read, "person", 3, INTERACTIVE, "")
            engine.allow(250)
            await until(lambda: engine.steps == 250)
            engine.free = True
            engine.allow()
        assert order == ["batch", "person"]
        assert [request.kept for request in engine.requests] == [(), ()]


async def test_a_slow_reader_stops_its_own_decoding_only() -> None:
    async with bench("a", slots=2, buffer=4) as it:
        slow = it.scheduler.stream("a", ask(100), Client(session="slow"))
        chunks: list[Chunk] = [await anext(slow)]
        await until(lambda: any(job.stalled for job in it.scheduler.state.jobs.values()))
        engine = it.loader.last("a")
        assert await it.read("a", 50, Client(session="fast")) == text(50)
        assert engine.steps < 50 + 10
        chunks += [chunk async for chunk in slow]
        assert "".join(chunk.text for chunk in chunks) == text(100)


async def test_a_slow_reader_gives_its_slot_to_one_who_waits() -> None:
    async with bench("a", slots=1, buffer=4) as it:
        slow = it.scheduler.stream("a", ask(100), Client(session="slow"))
        chunks = [await anext(slow)]
        await until(lambda: any(job.stalled for job in it.scheduler.state.jobs.values()))
        assert await it.read("a", 50, Client(session="fast")) == text(50)
        chunks += [chunk async for chunk in slow]
        assert "".join(chunk.text for chunk in chunks) == text(100)
        assert chunks[-1].usage is not None and chunks[-1].usage.output == 100


async def test_a_slow_reader_of_what_cannot_be_stopped_holds_no_slot() -> None:
    async with bench("a", slots=1, buffer=4) as it:
        slow = it.scheduler.stream("a", ask(100, grammar="root ::= .*"), Client(session="slow"))
        chunks = [await anext(slow)]
        assert await it.read("a", 50, Client(session="fast")) == text(50)
        assert it.loader.last("a").running == 0
        chunks += [chunk async for chunk in slow]
        assert len(chunks) <= 5
        assert "".join(chunk.text for chunk in chunks) == text(100)
        assert chunks[-1].finish_reason == "length"


async def test_time_that_is_over_ends_those_who_run_and_those_who_wait() -> None:
    async with bench("a") as it:
        it.loader.held = True
        ended: list[Refused] = []

        async def late(session: str) -> None:
            with pytest.raises(Refused) as caught:
                await it.read("a", 5, Client(session=session, seconds=0.02))
            ended.append(caught.value)

        async with anyio.create_task_group() as group:
            group.start_soon(late, "running")
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            group.start_soon(late, "waiting")
        assert [error.status for error in ended] == [504, 504]
        assert it.loader.last("a").running == 0


async def test_what_can_never_run_is_refused_without_loading() -> None:
    async with bench("a") as it:
        with pytest.raises(Refused) as caught:
            await it.read("a", 2000)
        assert caught.value.status == 400
        with pytest.raises(Refused):
            await it.read("a", 10, prompt="x" * 1_000_000)
        with pytest.raises(ModelError, match="no model 'b'"):
            await it.read("b", 1)
        assert not it.loader.engines


async def test_draining_lets_those_who_run_end() -> None:
    async with bench("a") as it:
        it.loader.held = True
        results: list[object] = []

        async def drain() -> None:
            results.append(await it.scheduler.drain(60))

        async with anyio.create_task_group() as group:
            group.start_soon(it.read, "a", 3)
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            group.start_soon(drain)
            await until(lambda: it.scheduler.draining)
            with pytest.raises(Refused) as caught:
                await it.read("a", 1)
            assert caught.value.status == 503 and caught.value.retry_after
            it.loader.last("a").allow(3)
        assert results == [True]


async def test_draining_ends_when_its_time_is_over() -> None:
    async with bench("a") as it:
        it.loader.held = True
        stream = it.scheduler.stream("a", ask(3))
        async with anyio.create_task_group() as group:
            group.start_soon(anext, stream)
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            assert not await it.scheduler.drain(0)
            it.loader.last("a").allow()
        await stream.aclose()


async def test_closing_ends_every_stream_with_an_error() -> None:
    errors: list[ModelError] = []

    async with anyio.create_task_group() as group, bench("a") as it:
        it.loader.held = True

        async def read(session: str) -> None:
            with pytest.raises(ModelError) as caught:
                await it.read("a", 5, Client(session=session))
            errors.append(caught.value)

        for session in ("one", "two"):
            group.start_soon(read, session)
        await until(lambda: it.loader.engines and it.loader.last("a").running)
    assert len(errors) == 2
    assert it.loader.last("a").closed
    with pytest.raises(ModelError):
        await it.read("a", 1)


async def test_an_error_in_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with bench("a"):
            raise KeyError


async def test_two_thousand_may_wait() -> None:
    rules = Rules(queue=4096, session_queue=64)
    async with bench("a", slots=8, rules=rules) as it:
        done = 0

        async def read(number: int) -> None:
            nonlocal done
            assert await it.read("a", 1, Client(session=f"s{number % 250}")) == text(1)
            done += 1

        async with anyio.create_task_group() as group:
            for number in range(2000):
                group.start_soon(read, number)
            await until(lambda: len(it.scheduler.effects.tickets) > 1900)
        assert done == 2000
        assert it.loader.last("a").most <= 8
