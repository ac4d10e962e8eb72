"""Many agents on one model: our scheduler beside the ways in which others let agents call a model."""

from __future__ import annotations

import itertools
import random
import statistics
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from benchmarks.figure import Figure
from benchmarks.generation import END, Plain, read, scheduled, transformers_engine
from benchmarks.weights import smollm_safetensors
from llmasos.models import Client, Engine
from llmasos.models.engines.port import CompletionRequest
from llmasos.models.scheduler.loop import Scheduler

COUNTS = (8, 64, 250)
SLOTS = 8
HEAVY = 8
"""Every so manieth agent makes several long calls at once."""
LIGHT_TOKENS, HEAVY_TOKENS, HEAVY_CALLS = 4, 12, 2
SHARE, LEAST = 6, 400
"""How many tokens an agent is given on average, and all of them at least, before it is over."""
AIOS = "AIOS's shape (a thread per call)"
AIOS_SECONDS = 1.0
"""How long AIOS waits between two collections of calls (its FIFO scheduler, `batch_interval`)."""

Written = tuple[float, int]
"""When the first token came, and how many came."""
Write = Callable[[int, str, int], Awaitable[Written]]
"""Carries out a call of an agent: its number, the prompt, the tokens to write at most."""


@dataclass
class Run:
    """What one way of calling achieved.

    Args:
        waits: Seconds from asking to the first token, by call; so far, where none came until the end.
        tokens: Tokens of finished calls, by agent.
        seconds: How long all took.
        processor: Seconds of the processor that it took.
    """

    waits: list[float] = field(default_factory=list)
    tokens: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    processor: float = 0.0

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return sum(self.tokens.values()) / self.seconds

    @property
    def thrift(self) -> float:
        """Tokens a second of the processor."""
        return sum(self.tokens.values()) / self.processor

    @property
    def fairness(self) -> float:
        """Jain's index of the tokens that agents were given: 1 is the same for each.

        R. Jain, D. Chiu and W. Hawe, "A quantitative measure of fairness", DEC-TR-301, 1984.
        """
        shares = self.tokens.values()
        return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))

    def wait(self, percent: int) -> float:
        """Return a percentile of the waits, in seconds."""
        return statistics.quantiles(self.waits, n=100, method="inclusive")[percent - 1]


async def run(count: int, write: Write) -> Run:
    """Let so many agents call again and again until all have their tokens, and return how it went."""
    result = Run(tokens=dict.fromkeys(range(count), 0))
    enough, over = max(count * SHARE, LEAST), anyio.Event()

    async def act(agent: int, line: int, tokens: int) -> None:
        for number in itertools.count(line, HEAVY_CALLS):
            asked, first = time.perf_counter(), 0.0
            prompt = f"Agent {agent} asks for the {number + 1}th time: what is the"
            try:
                first, written = await write(agent, prompt, tokens)
            finally:
                result.waits.append((first or time.perf_counter()) - asked)
            result.tokens[agent] += written
            if sum(result.tokens.values()) >= enough:
                over.set()

    begun, used = time.perf_counter(), time.process_time()
    async with anyio.create_task_group() as tasks:
        for agent in range(count):
            heavy = agent % HEAVY == 0
            for line in range(HEAVY_CALLS if heavy else 1):
                tasks.start_soon(act, agent, line, HEAVY_TOKENS if heavy else LIGHT_TOKENS)
        # Whoever is woken together with the last one is heard first.
        await over.wait()
        result.seconds = time.perf_counter() - begun
        result.processor = time.process_time() - used
        tasks.cancel_scope.cancel()
    return result


def _request(way: str, prompt: str, tokens: int, session: str = "") -> CompletionRequest:
    # No way finds what another one has read.
    bias = ((END, -100.0),)
    return CompletionRequest(prompt=prompt, max_tokens=tokens, logit_bias=bias, session=session, tenant=way)


def ours(scheduler: Scheduler, model: str) -> Write:
    """Return calls through our scheduler."""

    async def write(agent: int, prompt: str, tokens: int) -> Written:
        request = _request("ours", prompt, tokens, str(agent))
        return await read(scheduler.stream(model, request, Client(session=str(agent))), time.perf_counter)

    return write


def semaphore(engine: Engine) -> Write:
    """Return calls of which as many run as the engine has slots, in order of arrival."""
    slots = anyio.Semaphore(SLOTS)

    async def write(agent: int, prompt: str, tokens: int) -> Written:
        async with slots:
            return await read(engine.stream(_request("semaphore", prompt, tokens)), time.perf_counter)

    return write


def fifo(engine: Engine) -> Write:
    """Return calls that are handed to the engine as they come, which serves them in that order."""

    async def write(agent: int, prompt: str, tokens: int) -> Written:
        return await read(engine.stream(_request("fifo", prompt, tokens)), time.perf_counter)

    return write


def free_for_all(engine: Engine) -> Write:
    """Return calls that are refused while all slots are taken, and try again after a while."""
    running, dice = 0, random.Random(1)

    async def write(agent: int, prompt: str, tokens: int) -> Written:
        nonlocal running
        pause = 0.05
        while running >= SLOTS:
            await anyio.sleep(pause * (0.5 + dice.random()))
            pause = min(pause * 2, 4.0)
        running += 1
        try:
            return await read(engine.stream(_request("free for all", prompt, tokens)), time.perf_counter)
        finally:
            running -= 1

    return write


def sequential(plain: Plain) -> Write:
    """Return calls of `generate`, one after the other."""
    lock = anyio.Lock()

    async def write(agent: int, prompt: str, tokens: int) -> Written:
        async with lock:
            return await anyio.to_thread.run_sync(plain.generate, prompt, tokens, time.perf_counter)

    return write


@asynccontextmanager
async def aios(plain: Plain) -> AsyncGenerator[Write]:
    """Give calls in AIOS's shape.

    Calls are collected, and each of a collection runs `generate` in a thread of its own; when all of them
    have ended, and an interval is over, the next ones are collected.
    """
    waiting: list[tuple[str, int, list[Written], anyio.Event]] = []

    def carry_out(prompt: str, tokens: int, written: list[Written]) -> None:
        written.append(plain.generate(prompt, tokens, time.perf_counter))

    def collect(batch: list[tuple[str, int, list[Written], anyio.Event]]) -> None:
        threads = [
            threading.Thread(target=carry_out, args=(prompt, tokens, written))
            for prompt, tokens, written, _ in batch
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def serve() -> None:
        while True:
            await anyio.sleep(AIOS_SECONDS)
            batch = waiting[:]
            del waiting[:]
            if batch:
                await anyio.to_thread.run_sync(collect, batch)
                for *_, done in batch:
                    done.set()

    async def write(agent: int, prompt: str, tokens: int) -> Written:
        written: list[Written] = []
        done = anyio.Event()
        waiting.append((prompt, tokens, written, done))
        await done.wait()
        return written[0]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield write
        tasks.cancel_scope.cancel()


async def _measure(folder: Path) -> tuple[list[Figure], list[str]]:
    plain = await anyio.to_thread.run_sync(Plain, folder)
    figures: list[Figure] = []
    rows = [
        "| agents | way | tokens per CPU second | ours beside it | tokens/s | wait p50 | p90 | p99 | Jain |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    async with transformers_engine() as engine, scheduled(engine) as scheduler:
        for count in COUNTS:
            results: dict[str, Run] = {}
            async with aios(plain) as collected:
                ways: dict[str, Write] = {
                    "ours": ours(scheduler, engine.name),
                    "FIFO": fifo(engine),
                    "semaphore": semaphore(engine),
                    "free for all, with retry": free_for_all(engine),
                    "sequential": sequential(plain),
                    AIOS: collected,
                }
                for name, write in ways.items():
                    result = results[name] = await run(count, write)
                    rows.append(
                        f"| {count} | {name} | {result.thrift:.1f} "
                        f"| {results['ours'].thrift / result.thrift:.2f}x | {result.rate:.1f} "
                        f"| {result.wait(50):.1f} s | {result.wait(90):.1f} s | {result.wait(99):.1f} s "
                        f"| {result.fairness:.2f} |"
                    )
                    print(rows[-1], flush=True)
            one, other = results["ours"], results[AIOS]
            figures.append(
                Figure(
                    f"{count} agents: throughput, beside {AIOS}",
                    one.thrift / other.thrift,
                    f"{one.thrift:.1f} tokens/s, {other.thrift:.1f} tokens/s; by the clock "
                    f"{one.rate / other.rate:.2f}x on one core beside all of them",
                    2.1,
                )
            )
    return figures, rows


def measure() -> tuple[list[Figure], list[str]]:
    """Measure every way, and return figures beside AIOS's shape and the rows of a table of all."""
    return anyio.run(_measure, smollm_safetensors())
