"""What the kernel adds to a call, 2,000 waiting agents, and a light session under a flood."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from benchmarks.figure import Figure
from benchmarks.generation import MODEL, SLOTS, read, scheduled, transformers_engine
from llmasos.api import KeyRequest
from llmasos.config import Settings
from llmasos.kernel import Kernel
from llmasos.models import Client, Engine, Models
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.port import CompletionRequest, LoadPlan
from llmasos.models.scheduler.scheduled import ScheduledEngine
from llmasos.service.access import Keys, guarded
from llmasos.service.app import make_app
from llmasos.service.connection import Connection
from llmasos.service.server import make_server

CALLS, TOKENS = 200, 10
WAITING = 2000
FLOOD, LIGHT = 48, 7
SERVED = "qwen2.5-coder-1.5b"
"""A name of the catalog; the engine behind it only counts."""


async def _median(work: Callable[[], Awaitable[object]], calls: int = CALLS) -> float:
    seconds = []
    for _ in range(calls + 10):
        begun = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[10:])


async def scheduler_adds() -> Figure:
    """Measure what the scheduler adds to a call of an engine that costs nothing."""
    engine = CountingEngine(slots=SLOTS)
    request = CompletionRequest(prompt="count", max_tokens=TOKENS)

    async def through(one: Engine) -> None:
        await read(one.stream(request), time.perf_counter)

    async with scheduled(engine) as scheduler:
        ours = ScheduledEngine(scheduler, engine.name, Client(session="a"))
        with_it, without = await _median(lambda: through(ours)), await _median(lambda: through(engine))
    return Figure(
        f"the scheduler adds to a call of {TOKENS} tokens (by the clock, p50)",
        (with_it - without) * 1000,
        f"{with_it * 1000:.2f} ms, the engine alone {without * 1000:.2f} ms",
        5,
        least=False,
        unit=" ms",
    )


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve an application on a port of this machine as the kernel does, and give a client of it."""
    server = make_server(app, http=Connection, port=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
        server.should_exit = True


async def http_adds() -> Figure:
    """Measure what the whole service adds to a call with a key, with its record in the ledger."""
    body = {"model": SERVED, "messages": [{"role": "user", "content": "count"}], "max_tokens": TOKENS}

    async def load(plan: LoadPlan) -> Engine:
        return CountingEngine(name=plan.name, context=plan.context, slots=plan.slots)

    with tempfile.TemporaryDirectory() as base:
        settings = Settings(
            data_dir=Path(base) / "data", runtime_dir=Path(base), sandbox_pool=0, model=SERVED
        )
        async with Kernel(settings, models=Models(settings, loader=load)) as kernel:
            keys = Keys(kernel.store, kernel.ledger, {})
            secret = (await keys.create(KeyRequest(name="measuring"))).secret
            app = guarded(make_app(kernel, lambda: None, keys=keys), keys)
            async with keys.charges.written(), listening(app) as client:
                client.headers["Authorization"] = f"Bearer {secret}"

                async def call() -> bytes:
                    return (await client.post("/v1/chat/completions", json=body)).raise_for_status().content

                answer = await call()
                ours = await _median(call)
            await kernel.ledger.flush(120)

    async def same(_: Request) -> Response:
        return Response(answer, media_type="application/json")

    async with listening(Starlette(routes=[Route("/", same, methods=["POST"])])) as client:
        bare = await _median(lambda: client.post("/", json=body))
    return Figure(
        "the kernel adds to a `/v1/chat/completions` with a key, with its record (by the clock, p50)",
        (ours - bare) * 1000,
        f"{ours * 1000:.2f} ms, a bare route with the same answer {bare * 1000:.2f} ms",
        5,
        least=False,
        unit=" ms",
    )


async def crowd() -> Figure:
    """Measure calls per second with 2,000 agents that wait, beside 8."""

    async def rate(agents: int, calls: int) -> float:
        async def act(number: int) -> None:
            own = ScheduledEngine(scheduler, engine.name, Client(session=f"agent{number}"))
            for _ in range(calls):
                request = CompletionRequest(prompt="count", max_tokens=TOKENS)
                await read(own.stream(request), time.perf_counter)

        begun = time.process_time()
        async with anyio.create_task_group() as tasks:
            for number in range(agents):
                tasks.start_soon(act, number)
        return agents * calls / (time.process_time() - begun)

    engine = CountingEngine(slots=SLOTS)
    async with scheduled(engine) as scheduler:
        await rate(SLOTS, 10)
        few = statistics.median([await rate(SLOTS, WAITING // SLOTS // 4) for _ in range(3)])
        many = statistics.median([await rate(WAITING, 1) for _ in range(3)])
    return Figure(
        f"{WAITING:,} agents wait: calls, beside {SLOTS} agents, on an engine that costs nothing",
        many / few,
        f"{many:,.0f} calls/s, {few:,.0f} calls/s with {SLOTS}",
        0.5,
    )


async def flooded() -> Figure:
    """Measure the steps to a light session's first token while another one floods the model."""
    async with transformers_engine() as engine, scheduled(engine) as scheduler:
        steps = 0
        batch: Any = engine._batch  # type: ignore[attr-defined]
        make = batch.step

        def step() -> bool:
            nonlocal steps
            steps += 1
            return bool(make())

        batch.step = step

        async def ask(session: str, number: int, tokens: int) -> tuple[float, int]:
            request = CompletionRequest(
                prompt=f"Request {number} of {session}: what is the", max_tokens=tokens, session=session
            )
            return await read(scheduler.stream(MODEL, request, Client(session=session)), lambda: steps)

        async with anyio.create_task_group() as tasks:
            for number in range(FLOOD):
                tasks.start_soon(ask, "flood", number, 400)
            while steps < 2 * SLOTS:
                await anyio.sleep(0.05)
            waits = []
            for number in range(LIGHT):
                before = steps
                first, _ = await ask("light", number, 4)
                waits.append(first - before)
            tasks.cancel_scope.cancel()
    return Figure(
        f"a light session's first token while {FLOOD} long requests of another flood {SLOTS} slots",
        statistics.median(waits),
        f"the median of {LIGHT} requests; the slowest after {max(waits):.0f} steps",
        5,
        least=False,
        unit=" steps",
    )


async def _measure() -> list[Figure]:
    return [await work() for work in (scheduler_adds, http_adds, crowd, flooded)]


def measure() -> list[Figure]:
    """Measure everything."""
    return anyio.run(_measure)
