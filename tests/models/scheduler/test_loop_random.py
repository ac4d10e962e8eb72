"""Random clients, readers, faults and wishes at once: every request ends, and ends right."""

import random

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmasos.errors import ModelError
from llmasos.models.engines.port import OutOfMemory
from llmasos.models.scheduler.types import Ask, Band, Client, Rules
from tests.models.scheduler.slow import SIZE, Bench, SlowEngine, ask, bench, text

pytestmark = pytest.mark.anyio

MODELS = ("a", "b", "c")
BANDS: tuple[Band, ...] = ("interactive", "normal", "batch")
ASKS: tuple[Ask, ...] = ("load", "unload", "pin", "unpin")


class Crowd:
    """Everybody who wants something at once.

    Args:
        it: What they want it of.
        seed: Decides what each of them does.
    """

    def __init__(self, it: Bench, seed: int) -> None:
        self.it = it
        self.random = random.Random(seed)
        self.ended = 0

    async def pause(self) -> None:
        for _ in range(self.random.randrange(12)):
            await anyio.lowlevel.checkpoint()

    async def reader(self, number: int) -> None:
        """Read a reply, at some speed, to the end or less far; what comes is right, whatever happens."""
        await self.pause()
        chance = self.random
        model = chance.choice(MODELS)
        client = Client(
            session=f"s{number % 5}", band=chance.choice(BANDS), weight=chance.choice((0.5, 1, 4))
        )
        tokens, leave = chance.randrange(1, 60), chance.choice((None, None, None, 1, 7))
        request = ask(tokens, grammar=chance.choice(("", "", "root ::= .*")))
        stream = self.it.scheduler.stream(model, request, client)
        got, finish, output = "", None, 0
        try:
            async for chunk in stream:
                got += chunk.text
                finish = chunk.finish_reason or finish
                output = chunk.usage.output if chunk.usage else output
                if leave is not None and len(got.split()) >= leave:
                    break
                if chance.random() < 0.2:
                    await self.pause()
        except ModelError:
            assert text(tokens).startswith(got)
        else:
            assert text(tokens).startswith(got)
            if leave is None:
                assert (got, finish, output) == (text(tokens), "length", tokens)
        finally:
            await stream.aclose()
            self.ended += 1

    async def caller(self, number: int) -> None:
        """Call an engine."""
        await self.pause()
        call = self.it.scheduler.call
        client, aside = Client(session=f"s{number % 5}"), self.random.random() < 0.5
        try:
            made = await call(
                self.random.choice(MODELS), lambda engine: engine.embed(["x"]), client, aside=aside
            )
            assert made.vectors == ((1.0, 0.0),)
        except ModelError:
            pass
        finally:
            self.ended += 1

    async def person(self) -> None:
        """Ask for models to be loaded and unloaded, pinned and let go of."""
        for _ in range(4):
            await self.pause()
            try:
                await self.it.scheduler.ask(self.random.choice(MODELS), self.random.choice(ASKS))
            except ModelError:
                continue
        for model in MODELS:
            await self.it.scheduler.ask(model, "unpin")

    async def trouble(self) -> None:
        """Let engines fail, die and run out of memory."""
        for _ in range(6):
            await self.pause()
            kind = self.random.choice(("load", "device", "die", "step", "park", "unpark", "embed"))
            engines = [engine for engine in self.it.loader.engines if not engine.closed]
            fault = self.random.choice((OutOfMemory("No room."), ValueError("odd")))
            if kind == "load":
                self.it.loader.faults.append(fault)
            elif kind == "device":
                self.it.device.fail()
            elif engines:
                engine: SlowEngine = self.random.choice(engines)
                if kind == "die":
                    engine.die()
                else:
                    engine.faults[kind] = fault


@pytest.mark.parametrize("host", [0, SIZE])
@given(seed=st.integers(0, 2**32), slots=st.integers(1, 4), budget=st.integers(1, 3))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_request_ends_and_ends_right(host: int, seed: int, slots: int, budget: int) -> None:
    rules = Rules(host_budget=2 * SIZE, drain_seconds=0.01, age_seconds=0.05)
    with anyio.fail_after(60):
        async with bench(*MODELS, budget=budget * SIZE, slots=slots, host=host, buffer=5, rules=rules) as it:
            crowd = Crowd(it, seed)
            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(crowd.reader, number)
                    group.start_soon(crowd.caller, number)
                group.start_soon(crowd.person)
                group.start_soon(crowd.trouble)
            assert crowd.ended == 40
            assert not it.scheduler.state.jobs
            assert not any(model.running for model in it.scheduler.state.models.values())
            assert it.scheduler.state.used("sim") <= budget * SIZE
            assert all(engine.most <= slots for engine in it.loader.engines)
