"""What models are asked for in measurements, and how replies are read."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from benchmarks.weights import smollm_safetensors
from llmasos.models import Engine
from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.port import Chunk, CompletionRequest, LoadPlan
from llmasos.models.engines.transformers import load_transformers
from llmasos.models.scheduler.loop import Scheduler
from llmasos.models.scheduler.types import Card, Rules

SLOTS = 8
MODEL = "smollm2-135m"
END = 2
"""The token that ends its texts; as much is written as is asked for where it is not allowed."""
Clock = Callable[[], float]
Asked = tuple[str, int]
"""A prompt, and the tokens to write after it."""


def plan(path: Path, cache: Path | None = None) -> LoadPlan:
    """Return how SmolLM2 is loaded: on one thread, so that seconds of the processor are comparable."""
    return LoadPlan(
        name=MODEL,
        path=path,
        format="safetensors" if path.is_dir() else "gguf",
        cache_dir=cache or Path(tempfile.gettempdir()),
        context=1024,
        slots=SLOTS,
        threads=1,
    )


@asynccontextmanager
async def transformers_engine() -> AsyncIterator[Engine]:
    """Give the engine for safetensors with SmolLM2 in it, warm."""
    engine = await load_transformers(plan(await anyio.to_thread.run_sync(smollm_safetensors)))
    try:
        await read(engine.stream(CompletionRequest(prompt="warm up", max_tokens=2)), time.process_time)
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def scheduled(engine: Engine) -> AsyncIterator[Scheduler]:
    """Give a scheduler with an engine loaded in it, where any number of jobs may wait."""

    async def load(plan: LoadPlan) -> Engine:
        return engine

    rules = Rules(session_queue=100_000, queue=100_000)
    async with Scheduler(rules, [SimDevice(1)], load) as scheduler:
        card = Card(engine.name, "sim", 0, context=engine.context, slots=engine.slots)
        scheduler.register(card, plan(Path(tempfile.gettempdir())))
        await scheduler.ask(engine.name, "load")
        yield scheduler


async def read(chunks: AsyncGenerator[Chunk], clock: Clock) -> tuple[float, int]:
    """Read a reply to its end; return when its first token came, and how many came."""
    first, tokens = 0.0, 0
    async with aclosing(chunks) as reading:
        async for chunk in reading:
            if chunk.tokens and not first:
                first = clock()
            tokens += len(chunk.tokens)
    return first or clock(), tokens


async def together(
    engine: Engine,
    asked: Sequence[Asked],
    tenant: Callable[[int], str],
    clock: Clock = time.process_time,
) -> tuple[float, float]:
    """Return the tokens per second and the mean time to the first token of requests that run together."""
    begun = clock()
    results: list[tuple[float, int]] = []

    async def one(number: int, prompt: str, count: int) -> None:
        request = CompletionRequest(
            prompt=prompt,
            max_tokens=count,
            logit_bias=((END, -100.0),),
            tenant=tenant(number),
            session=str(number),
        )
        results.append(await read(engine.stream(request), clock))

    async with anyio.create_task_group() as tasks:
        for number, (prompt, count) in enumerate(asked):
            tasks.start_soon(one, number, prompt, count)
    rate = written(results, asked) / (clock() - begun)
    return rate, statistics.mean(first for first, _ in results) - begun


def written(results: Sequence[tuple[float, int]], asked: Sequence[Asked]) -> int:
    """Return how many tokens came in all.

    Raises:
        ValueError: It is not what was asked, so that another way would have had other work to do.
    """
    came, due = sum(tokens for _, tokens in results), sum(count for _, count in asked)
    if came != due:
        raise ValueError(f"{came} tokens came, and {due} were asked for.")
    return came


class Plain:
    """A model with `generate` alone, as programs have it that batch nothing.

    Args:
        folder: Its safetensors.
    """

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)

    def generate(self, prompt: str, tokens: int, clock: Clock) -> tuple[float, int]:
        """Write so many tokens; return when the first came, and how many came."""
        import torch
        from transformers.generation.streamers import BaseStreamer

        torch.set_num_threads(1)
        times: list[float] = []

        class Watch(BaseStreamer):  # type: ignore[misc,unused-ignore]
            def put(self, value: Any) -> None:
                times.append(clock())

            def end(self) -> None:
                """Do nothing."""

        ids = torch.tensor([self._tokenizer.encode(prompt, add_special_tokens=False)])
        out = self._model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=END,
            streamer=Watch(),
        )
        # What is put first is the prompt.
        return times[1], int(out.shape[1] - ids.shape[1])
