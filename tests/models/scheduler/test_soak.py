"""Two thousand requests of all kinds, one after the other and at once: nothing is held at the end."""

from __future__ import annotations

import random
from collections import Counter

import anyio
import anyio.lowlevel
import pytest

from llmasos.errors import ModelError
from llmasos.models.scheduler.types import Ask, Band, Client, Refused, Rules
from tests.models.scheduler.slow import SIZE, Bench, ask, bench, text, until

pytestmark = pytest.mark.anyio

REQUESTS = 2000
AT_ONCE = 40
MODELS = ("a", "b", "c", "d")
BANDS: tuple[Band, ...] = ("interactive", "normal", "batch")
ASKS: tuple[Ask, ...] = ("load", "unload", "pin", "unpin")


class Soak:
    """Sends requests, each of which is read, left, cancelled or too late by chance.

    Args:
        it: What is asked.
        seed: Decides what each request is.
    """

    def __init__(self, it: Bench, seed: int) -> None:
        self.it = it
        self.random = random.Random(seed)
        self.ends = Counter[str]()

    async def run(self, requests: int) -> None:
        """Send so many requests, some at once."""
        numbers = iter(range(requests))

        async def worker() -> None:
            for number in numbers:
                self.ends[await self.request(number)] += 1

        async with anyio.create_task_group() as workers:
            for _ in range(AT_ONCE):
                workers.start_soon(worker)

    async def request(self, number: int) -> str:
        """Send one request, and return how it ended."""
        chance = self.random
        if number % 20 == 0:
            return await self.person(chance.choice(MODELS), chance.choice(ASKS))
        if number % 200 == 199:
            here = [engine for engine in self.it.loader.engines if not engine.closed]
            # The end of one that works is noticed.
            chance.choice([engine for engine in here if engine.running] or here).die()
        client = Client(
            session=f"s{chance.randrange(30)}",
            band=chance.choice(BANDS),
            weight=chance.choice((0.5, 1.0, 4.0)),
            seconds=chance.choice((None, None, None, 0.0001, 0.02)),
            tenant=f"t{chance.randrange(3)}",
        )
        cancelled_after = chance.choice((None, None, None, 0, 5, 30))
        if cancelled_after is None:
            return await self.read(client, chance.choice((None, None, 3)))
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.cancel, scope, cancelled_after)
                await self.read(client, None)
                tasks.cancel_scope.cancel()
        return "cancelled"

    async def cancel(self, scope: anyio.CancelScope, steps: int) -> None:
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    async def read(self, client: Client, most: int | None) -> str:
        """Read a reply, or so many pieces of it, or call the engine."""
        chance, model = self.random, self.random.choice(MODELS)
        try:
            if chance.random() < 0.2:
                await self.it.scheduler.call(
                    model, lambda engine: engine.embed(["x"]), client, aside=chance.random() < 0.5
                )
                return "called"
            tokens = chance.randrange(1, 25)
            stream = self.it.scheduler.stream(model, ask(tokens, grammar=chance.choice(("", "x"))), client)
            got = ""
            try:
                async for chunk in stream:
                    got += chunk.text
                    if most is not None and len(got.split()) >= most:
                        return "left"
            finally:
                await stream.aclose()
            assert got == text(tokens)
        except Refused as error:
            return f"refused {error.status}"
        except ModelError as error:
            return type(error).__name__
        return "read"

    async def person(self, model: str, wish: Ask) -> str:
        """Ask for a model to be loaded, unloaded, pinned or let go of."""
        try:
            await self.it.scheduler.ask(model, wish)
        except ModelError:
            return f"no {wish}"
        finally:
            if wish == "pin":
                await self.it.scheduler.ask(model, "unpin")
        return wish


async def test_nothing_is_held_after_two_thousand_requests() -> None:
    rules = Rules(host_budget=SIZE, drain_seconds=0.01, age_seconds=0.05, session_queue=4)
    with anyio.fail_after(60):
        async with bench(*MODELS, budget=2 * SIZE, slots=3, host=SIZE, buffer=5, rules=rules) as it:
            soak = Soak(it, seed=7)
            await soak.run(REQUESTS)
            assert soak.ends.total() == REQUESTS
            # Everything that may happen did.
            assert {"read", "left", "cancelled", "called", "refused 504", "EngineDied", *ASKS} <= set(
                soak.ends
            )

            effects = it.scheduler.effects
            moving = ("loading", "parking", "unloading")
            await until(lambda: not any(each.phase in moving for each in it.scheduler.state.models.values()))
            state = it.scheduler.state
            assert not state.jobs and not effects.tickets
            assert not state.waiting() and not any(model.running for model in state.models.values())
            assert not any(resident._users for resident in effects.residents.values())
            assert not any(engine.running for engine in it.loader.engines)
            here = [name for name, resident in effects.residents.items() if resident.engine is not None]
            assert state.used("sim") == it.device.taken == SIZE * len(here) <= 2 * SIZE
            assert sorted(here) == sorted(
                name for name, model in state.models.items() if model.phase == "resident"
            )
            parked = [name for name, model in state.models.items() if model.phase == "parked"]
            assert state.host_used == SIZE * len(parked) <= SIZE
            open_engines = [engine.name for engine in it.loader.engines if not engine.closed]
            assert sorted(open_engines) == sorted([*here, *parked])
            # And it serves as before.
            for model in MODELS:
                assert await it.read(model, 5) == text(5)
