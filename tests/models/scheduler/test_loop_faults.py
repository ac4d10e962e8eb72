"""Whatever engines, loaders and the state machine do, nobody waits for ever and the loop goes on."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial

import anyio
import pytest

from llmasos.errors import ModelError
from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    EngineDied,
    LoadPlan,
    OutOfMemory,
)
from llmasos.models.scheduler import decide as core
from llmasos.models.scheduler.decisions import Effect
from llmasos.models.scheduler.events import Event, Loaded, Submitted
from llmasos.models.scheduler.state import State
from llmasos.models.scheduler.types import Client, Refused
from tests.models.scheduler.slow import SIZE, Bench, SlowEngine, ask, bench, text, until

pytestmark = pytest.mark.anyio

ODD = [ValueError("odd"), KeyError(1), asyncio.CancelledError(), ExceptionGroup("both", [ValueError()])]


async def fails(it: Bench, model: str = "a", tokens: int = 5, session: str = "") -> ModelError:
    with pytest.raises(ModelError) as caught:
        await it.read(model, tokens, Client(session=session))
    return caught.value


async def test_a_dead_engine_ends_its_own_streams_only_and_returns_when_asked() -> None:
    async with bench("a", "b", slots=3) as it:
        it.loader.held = True
        errors: list[ModelError] = []
        got: list[str] = []

        async def victim(session: str) -> None:
            errors.append(await fails(it, session=session))

        async def other() -> None:
            got.append(await it.read("b", 5))

        async with anyio.create_task_group() as group:
            group.start_soon(other)
            for session in ("one", "two"):
                group.start_soon(victim, session)
            await until(lambda: {engine.running for engine in it.loader.engines} == {1, 2})
            dead = it.loader.last("a")
            dead.allow(2)
            await until(lambda: dead.steps == 2)
            it.loader.held = False
            dead.die()
            await until(lambda: len(errors) == 2)
            assert await it.read("a", 3) == text(3)
            it.loader.last("b").allow(5)
        assert got == [text(5)]
        assert all(isinstance(error, EngineDied) for error in errors)
        assert dead.closed and it.loader.last("a") is not dead
        assert it.scheduler.state.used("sim") == 2 * SIZE


async def test_memory_that_runs_out_in_a_step_ends_that_stream_only() -> None:
    async with bench("a") as it:
        await it.read("a", 1)
        engine = it.loader.last("a")
        engine.faults["step"] = OutOfMemory("No room.")
        assert isinstance(await fails(it), OutOfMemory)
        assert await it.read("a", 3) == text(3)
        assert it.loader.engines == [engine]


async def test_memory_that_runs_out_at_a_load_evicts_and_tries_once_more() -> None:
    async with bench("a", "b") as it:
        await it.read("a", 1)
        it.device.fail()
        assert await it.read("b", 2) == text(2)
        assert it.loader.last("a").closed
        assert it.device.taken == SIZE


async def test_memory_that_runs_out_at_every_load_is_said_and_does_not_last() -> None:
    async with bench("a") as it:
        it.device.fail(2)
        error = await fails(it)
        assert isinstance(error, Refused) and error.status == 503 and error.retry_after
        assert "was told to fail" in error.message
        with pytest.raises(Refused):
            await it.scheduler.ask("a", "load")
        await it.scheduler.ask("a", "load")
        assert await it.read("a", 2) == text(2)


async def test_models_move_to_the_hosts_memory_and_back() -> None:
    async with bench("a", "b", budget=SIZE, host=SIZE) as it:
        for model in ("a", "b", "a", "b"):
            assert await it.read(model, 2) == text(2)
        assert len(it.loader.engines) == 2
        assert it.loader.last("a").parked and not it.loader.last("b").parked
        assert it.device.taken == SIZE
        top = it.scheduler.top()
        assert {model.name: model.state for model in top.models} == {"a": "parked", "b": "resident"}
        assert top.host.used == SIZE


@pytest.mark.parametrize("fault", [OutOfMemory("No room."), ValueError("odd"), asyncio.CancelledError()])
async def test_what_cannot_come_back_from_the_host_is_loaded_anew(fault: Exception) -> None:
    async with bench("a", "b", budget=SIZE, host=SIZE) as it:
        await it.read("a", 1)
        await it.read("b", 1)
        it.loader.last("a").faults["unpark"] = fault
        error = await fails(it)
        assert isinstance(error, Refused) and error.status == 503
        await it.scheduler.ask("a", "load")
        assert await it.read("a", 2) == text(2)
        assert len(it.loader.engines) == (2 if isinstance(fault, OutOfMemory) else 3)


async def test_what_cannot_be_parked_is_unloaded() -> None:
    async with bench("a", "b", budget=SIZE, host=SIZE) as it:
        await it.read("a", 1)
        it.loader.last("a").faults["park"] = ValueError("odd")
        assert await it.read("b", 2) == text(2)
        assert it.loader.last("a").closed
        assert await it.read("a", 2) == text(2)


async def test_what_died_in_the_hosts_memory_is_loaded_anew() -> None:
    async with bench("a", "b", budget=SIZE, host=SIZE) as it:
        await it.read("a", 1)
        await it.read("b", 1)
        engine = it.loader.last("a")
        assert not engine.closed
        engine.die()
        assert await it.read("a", 2) == text(2)
        assert engine.closed and it.loader.last("a") is not engine


@pytest.mark.parametrize("fault", ODD, ids=repr)
async def test_odd_loaders_fail_those_who_wait(fault: BaseException) -> None:
    async with bench("a") as it:
        it.loader.faults.append(fault)
        error = await fails(it)
        assert isinstance(error, Refused) and error.status == 503
        await it.scheduler.ask("a", "load")
        assert await it.read("a", 2) == text(2)


@pytest.mark.parametrize("fault", ODD, ids=repr)
async def test_odd_engines_fail_the_stream(fault: Exception) -> None:
    async with bench("a") as it:
        await it.read("a", 1)
        it.loader.last("a").faults["step"] = fault
        error = await fails(it)
        assert not isinstance(error, Refused) and error.hint
        assert await it.read("a", 2) == text(2)
        assert not it.scheduler.state.jobs


@pytest.mark.parametrize("aside", [True, False])
@pytest.mark.parametrize("fault", ODD, ids=repr)
async def test_odd_engines_fail_the_call(aside: bool, fault: Exception) -> None:
    async with bench("a") as it:
        await it.read("a", 1)
        engine = it.loader.last("a")
        engine.faults["embed"] = fault
        with pytest.raises(ModelError, match="failed"):
            await it.scheduler.call("a", lambda engine: engine.embed(["x"]), aside=aside)
        assert await it.read("a", 2) == text(2)
        assert it.loader.engines == [engine]


@pytest.mark.parametrize("aside", [True, False])
async def test_a_death_is_noticed_by_a_call_too(aside: bool) -> None:
    async with bench("a", slots=2) as it:
        await it.read("a", 1)
        it.loader.last("a").die()
        with pytest.raises(EngineDied):
            await it.scheduler.call("a", lambda engine: engine.embed(["x"]), aside=aside)
        assert await it.read("a", 2) == text(2)
        assert len(it.loader.engines) == 2


async def test_an_engine_that_cannot_be_measured_is_not_loaded() -> None:
    async with bench("a") as it:
        it.loader.loaded = lambda engine: engine.faults.update(footprint=ValueError("odd"))
        assert isinstance(await fails(it), Refused)
        assert it.loader.last("a").closed
        assert it.device.taken == 0


async def test_an_engine_that_cannot_be_closed_is_gone_all_the_same() -> None:
    async with bench("a") as it:
        await it.read("a", 1)
        it.loader.last("a").faults["close"] = ValueError("odd")
        await it.scheduler.ask("a", "unload")
        assert await it.read("a", 2) == text(2)


async def test_what_the_engine_says_of_the_request_is_passed_on() -> None:
    async with bench("a") as it:
        await it.read("a", 1)
        it.loader.last("a").faults["step"] = ContextExceeded("Too long.")
        assert isinstance(await fails(it), ContextExceeded)


async def test_a_reply_without_an_end_is_an_error() -> None:
    class Cut(SlowEngine):
        async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
            yield Chunk(text="half")

    async with bench("a") as it:
        it.loader.make = Cut
        stream = it.scheduler.stream("a", ask(5))
        assert (await anext(stream)).text == "half"
        with pytest.raises(ModelError, match="cut short"):
            await anext(stream)


async def test_an_engine_that_does_not_stop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(SlowEngine):
        def __init__(self, plan: LoadPlan, device: SimDevice) -> None:
            super().__init__(plan, device)
            self.shut = anyio.Event()

        async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
            try:
                yield Chunk(text="x", tokens=(1,))
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await self.shut.wait()

        async def close(self) -> None:
            await super().close()
            self.shut.set()

    monkeypatch.setattr("llmasos.models.scheduler.effects._STOP_SECONDS", 0.01)
    async with bench("a") as it:
        it.loader.make = Deaf
        stream = it.scheduler.stream("a", ask(5), Client())
        await anext(stream)
        await stream.aclose()
        assert not it.scheduler.state.jobs
        deaf = it.loader.last("a")
        it.loader.make = SlowEngine
        assert await it.read("a", 2) == text(2)
        assert deaf.closed


@pytest.mark.parametrize("kind", [Submitted, Loaded])
async def test_a_state_machine_that_fails_begins_anew(
    kind: type[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True

    def decide(state: State, event: Event, now: float) -> tuple[State, Sequence[Effect]]:
        if isinstance(event, kind) and broken:
            raise RuntimeError("odd")
        return core.decide(state, event, now)

    async with bench("a", decide=decide) as it:
        it.register("a")
        errors: list[ModelError] = []

        async def read() -> None:
            errors.append(await fails(it))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(read)
        assert len(errors) == 3
        broken = False
        assert await it.read("a", 2) == text(2)
        await until(lambda: it.device.taken == SIZE)


async def test_unloading_waits_for_those_who_use_the_model() -> None:
    async with bench("a") as it:
        it.loader.held = True
        got: list[str] = []

        async def read() -> None:
            got.append(await it.read("a", 3, grammar="root ::= .*"))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            engine = it.loader.last("a")
            group.start_soon(it.scheduler.ask, "a", "unload")
            await until(lambda: it.scheduler.state.models["a"].leaving)
            assert not engine.closed
            engine.allow(3)
        assert got == [text(3)]
        assert engine.closed
        assert it.scheduler.top().models[0].evictions == 0


async def test_loading_after_all_ends_the_wish_to_unload() -> None:
    async with bench("a") as it:
        it.loader.held = True
        async with anyio.create_task_group() as group:
            group.start_soon(partial(it.read, "a", 3, grammar="root ::= .*"))
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            group.start_soon(it.scheduler.ask, "a", "unload")
            await until(lambda: it.scheduler.state.models["a"].leaving)
            await it.scheduler.ask("a", "load")
            it.loader.last("a").allow(3)
        assert not it.loader.last("a").closed


async def test_a_call_aside_keeps_the_model_where_it_is() -> None:
    async with bench("a", "b", budget=SIZE) as it:
        await it.read("a", 1)
        engine = it.loader.last("a")
        engine.hold()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: it.scheduler.call("a", lambda one: one.embed(["x"]), aside=True))
            group.start_soon(it.read, "b", 2)
            await until(lambda: it.scheduler.effects.residents["a"].place == "unloading")
            assert not engine.closed
            engine.allow()
        assert engine.closed
