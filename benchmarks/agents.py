"""Many agents on one model: our scheduler beside the ways in which others let agents call a model."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from llmasos.models import Client, Engine
from llmasos.models.engines.port import CompletionRequest
from llmasos.models.scheduler.loop import Scheduler

COUNTS = (8, 64, 250)
SLOTS = 8
HEAVY = 8
"""Every so manieth agent makes several long calls at once."""
LIGHT_TOKENS, HEAVY_TOKENS, HEAVY_CALLS = 8, 24, 3
AIOS_SECONDS = 1.0
"""How long AIOS waits between two collections of calls (its FIFO scheduler, `batch_interval`)."""

Write = Callable[[int, str, int], Awaitable[float]]
"""Carries out a call of an agent: its number, the prompt, the tokens; returns when the first came."""


@dataclass
class Run:
    """What one way of calling achieved.

    Args:
        waits: Seconds from asking to the first token, by call.
        ends: Seconds until an agent was done, by agent.
        tokens: Tokens written for each agent.
        seconds: How long all took.
    """

    waits: list[float] = field(default_factory=list)
    ends: dict[int, float] = field(default_factory=dict)
    tokens: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return sum(self.tokens.values()) / self.seconds

    @property
    def fairness(self) -> float:
        """Jain's index of what agents got in a second of their waiting: 1 is the same for each."""
        shares = [self.tokens[agent] / self.ends[agent] for agent in self.ends]
        return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))

    def wait(self, percent: int) -> float:
        """Return a percentile of the waits, in seconds."""
        return statistics.quantiles(self.waits, n=100, method="inclusive")[percent - 1]


async def run(count: int, write: Write) -> Run:
    """Let so many agents call at once, and return how it went."""
    result, begun = Run(), time.perf_counter()

    async def call(agent: int, number: int, tokens: int) -> None:
        asked = time.perf_counter()
        first = await write(agent, f"Agent {agent} asks for the {number + 1}th time: what is the", tokens)
        result.waits.append(first - asked)

    async def act(agent: int) -> None:
        heavy = agent % HEAVY == 0
        calls, tokens = (HEAVY_CALLS, HEAVY_TOKENS) if heavy else (1, LIGHT_TOKENS)
        result.tokens[agent] = calls * tokens
        async with anyio.create_task_group() as tasks:
            for number in range(calls):
                tasks.start_soon(call, agent, number, tokens)
        result.ends[agent] = time.perf_counter() - begun

    async with anyio.create_task_group() as tasks:
        for agent in range(count):
            tasks.start_soon(act, agent)
    result.seconds = time.perf_counter() - begun
    return result


async def first_token(chunks: AsyncGenerator[Any]) -> float:
    """Read a reply to its end, and return when its first token came."""
    first = 0.0
    async with aclosing(chunks) as reading:
        async for chunk in reading:
            if chunk.tokens and not first:
                first = time.perf_counter()
    return first or time.perf_counter()


def _request(agent: int, prompt: str, tokens: int) -> CompletionRequest:
    # Ends of text are made unlikely, so that each call writes what it asks for.
    return CompletionRequest(
        prompt=prompt, max_tokens=tokens, session=str(agent), logit_bias=((0, -100.0), (2, -100.0))
    )


def ours(scheduler: Scheduler, model: str) -> Write:
    """Return calls through our scheduler."""

    async def write(agent: int, prompt: str, tokens: int) -> float:
        client = Client(session=str(agent))
        return await first_token(scheduler.stream(model, _request(agent, prompt, tokens), client))

    return write


def semaphore(engine: Engine) -> Write:
    """Return calls of which as many run as the engine has slots, in order of arrival."""
    slots = anyio.Semaphore(SLOTS)

    async def write(agent: int, prompt: str, tokens: int) -> float:
        async with slots:
            return await first_token(engine.stream(_request(agent, prompt, tokens)))

    return write


def fifo(engine: Engine) -> Write:
    """Return calls that are handed to the engine as they come, which serves them in that order."""

    async def write(agent: int, prompt: str, tokens: int) -> float:
        return await first_token(engine.stream(_request(agent, prompt, tokens)))

    return write


def free_for_all(engine: Engine) -> Write:
    """Return calls that are refused while all slots are taken, and try again after a while."""
    running, dice = 0, random.Random(1)

    async def write(agent: int, prompt: str, tokens: int) -> float:
        nonlocal running
        pause = 0.05
        while running >= SLOTS:
            await anyio.sleep(pause * (0.5 + dice.random()))
            pause = min(pause * 2, 4.0)
        running += 1
        try:
            return await first_token(engine.stream(_request(agent, prompt, tokens)))
        finally:
            running -= 1

    return write


class Plain:
    """A model with `generate` alone, as systems have it that batch nothing."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)

    def generate(self, prompt: str, tokens: int) -> float:
        """Write so many tokens, and return when the first was there."""
        import torch
        from transformers.generation.streamers import BaseStreamer

        firsts: list[float] = []

        class Watch(BaseStreamer):  # type: ignore[misc,unused-ignore]
            seen = 0

            def put(self, value: Any) -> None:
                self.seen += 1
                if self.seen == 2:
                    firsts.append(time.perf_counter())

            def end(self) -> None:
                """Do nothing."""

        ids = torch.tensor([self._tokenizer.encode(prompt)])
        self._model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
            streamer=Watch(),
        )
        return firsts[0]


def sequential(plain: Plain) -> Write:
    """Return calls of `generate`, one after the other."""
    lock = anyio.Lock()

    async def write(agent: int, prompt: str, tokens: int) -> float:
        async with lock:
            return await anyio.to_thread.run_sync(plain.generate, prompt, tokens)

    return write


@asynccontextmanager
async def aios(plain: Plain) -> AsyncGenerator[Write]:
    """Give calls in AIOS's shape.

    Calls are collected, and each of a collection runs `generate` in a thread of its own; when all of them
    have ended, and an interval is over, the next ones are collected.
    """
    waiting: list[tuple[str, int, list[float], anyio.Event]] = []

    def carry_out(prompt: str, tokens: int, firsts: list[float]) -> None:
        firsts.append(plain.generate(prompt, tokens))

    def collect(batch: list[tuple[str, int, list[float], anyio.Event]]) -> None:
        threads = [
            threading.Thread(target=carry_out, args=(prompt, tokens, firsts))
            for prompt, tokens, firsts, _ in batch
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

    async def write(agent: int, prompt: str, tokens: int) -> float:
        firsts: list[float] = []
        done = anyio.Event()
        waiting.append((prompt, tokens, firsts, done))
        await done.wait()
        return firsts[0]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield write
        tasks.cancel_scope.cancel()


async def measure(scheduler: Scheduler, model: str, engine: Engine, folder: Path) -> list[str]:
    """Measure every way, and return the rows of a table.

    Args:
        scheduler: Ours, with the model in it.
        model: The model's name there.
        engine: The same engine, for the ways that batch.
        folder: The same weights, for the ways that do not.
    """
    plain = await anyio.to_thread.run_sync(Plain, folder)
    rows = [
        "| agents | way | tokens/s | ours | wait p50 | p90 | p99 | Jain |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for count in COUNTS:
        async with aios(plain) as collected:
            ways: dict[str, Write] = {
                "ours": ours(scheduler, model),
                "FIFO": fifo(engine),
                "semaphore": semaphore(engine),
                "free for all, with retry": free_for_all(engine),
                "sequential": sequential(plain),
                "AIOS's shape (a thread per call)": collected,
            }
            best = 0.0
            for name, write in ways.items():
                result = await run(count, write)
                best = best or result.rate
                row = (
                    f"| {count} | {name} | {result.rate:.1f} | {best / result.rate:.2f}x "
                    f"| {result.wait(50):.1f} s | {result.wait(90):.1f} s | {result.wait(99):.1f} s "
                    f"| {result.fairness:.2f} |"
                )
                print(row)
                rows.append(row)
    return rows
