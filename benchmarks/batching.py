"""Continuous batching against sequential generation: throughput, first tokens, prefixes, reloads.

Run it with `python -m benchmarks.batching`. Times are of the processor, since machines are shared; each
ratio is the median of several runs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from benchmarks.weights import smollm_safetensors
from llmasos.models.engines.port import CompletionRequest, Engine, LoadPlan
from llmasos.models.engines.transformers import load_transformers

RUNS = 3
REQUESTS = tuple(
    (f"Item {number}: " + "and then something else happened " * size, count)
    for number, (size, count) in enumerate(
        ((2, 48), (20, 24), (5, 64), (40, 16), (1, 64), (10, 32), (30, 40), (3, 48))
    )
)
"""Prompts and the tokens to write after each."""
SHARED = "The rules of this house are many, and each of them has its own good reason. " * 38
"""About 600 tokens."""


def _plan(folder: Path) -> LoadPlan:
    return LoadPlan(
        name="smollm2-135m",
        path=folder,
        format="safetensors",
        cache_dir=Path(tempfile.gettempdir()),
        context=1024,
        slots=8,
        threads=1,
    )


async def _read(engine: Engine, prompt: str, count: int, begun: float, tenant: str = "") -> tuple[float, int]:
    """Return the time of the first token since `begun`, and the tokens."""
    request = CompletionRequest(
        prompt=prompt, max_tokens=count, tenant=tenant, logit_bias=(), stop=(), session=prompt[:8]
    )
    first, tokens = 0.0, 0
    async for chunk in engine.stream(request):
        if chunk.tokens and not first:
            first = time.process_time() - begun
        tokens += len(chunk.tokens)
    return first, tokens


async def together(
    engine: Engine, requests: tuple[tuple[str, int], ...], tenant: Callable[[int], str]
) -> tuple[float, float]:
    """Return the tokens per second and the mean time to the first token of requests that run together."""
    begun = time.process_time()
    results: list[tuple[float, int]] = []

    async def one(number: int, prompt: str, count: int) -> None:
        results.append(await _read(engine, prompt, count, begun, tenant(number)))

    async with anyio.create_task_group() as tasks:
        for number, (prompt, count) in enumerate(requests):
            tasks.start_soon(one, number, prompt, count)
    total = time.process_time() - begun
    return sum(tokens for _, tokens in results) / total, statistics.mean(first for first, _ in results)


def sequential(model: Any, tokenizer: Any) -> tuple[float, float]:
    """Return the same of `generate`, one request after the other."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    firsts: list[float] = []
    written = 0
    begun = time.process_time()

    class First(StoppingCriteria):  # type: ignore[misc,unused-ignore]
        def __call__(self, ids: Any, scores: Any, **options: Any) -> Any:
            if ids.shape[1] == start + 1:
                firsts.append(time.process_time() - begun)
            return torch.zeros(ids.shape[0], dtype=torch.bool)

    for prompt, count in REQUESTS:
        ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False)])
        start = ids.shape[1]
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
            stopping_criteria=StoppingCriteriaList([First()]),
        )
        written += int(out.shape[1]) - start
    return written / (time.process_time() - begun), statistics.mean(firsts)


def _generate(folder: Path) -> list[tuple[float, float]]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return [sequential(model, tokenizer) for _ in range(RUNS)]


def _ratio(better: list[float], worse: list[float]) -> float:
    return statistics.median(better) / statistics.median(worse)


async def batching(engine: Engine, folder: Path) -> None:
    """Print throughput and first tokens against `generate`."""
    runs = []
    for number in range(RUNS):
        # Each run has a tenant of its own, or the second one would find the first one's prompts.
        runs.append(await together(engine, REQUESTS, lambda _, number=number: f"run{number}"))  # type: ignore[misc]
    alone = await anyio.to_thread.run_sync(_generate, folder)
    print(
        f"tokens per second: {statistics.median(r for r, _ in runs):.1f}, "
        f"{_ratio([r for r, _ in runs], [r for r, _ in alone]):.2f}x of generate"
    )
    print(
        f"mean first token: {statistics.median(f for _, f in runs):.2f} s, "
        f"{_ratio([f for _, f in alone], [f for _, f in runs]):.2f}x better than generate"
    )


async def prefix(engine: Engine) -> None:
    """Print what a shared prefix saves."""
    requests = tuple((f"{SHARED} Question {number}: why?", 12) for number in range(8))
    shared, apart = [], []
    for number in range(RUNS):
        await _read(engine, SHARED + " Question", 1, 0.0, f"shared{number}")
        shared.append(await together(engine, requests, lambda _, number=number: f"shared{number}"))  # type: ignore[misc]
        apart.append(await together(engine, requests, lambda at, number=number: f"{number} {at}"))  # type: ignore[misc]
    print(
        f"shared prefix: {_ratio([r for r, _ in shared], [r for r, _ in apart]):.2f}x in time, "
        f"{_ratio([f for _, f in apart], [f for _, f in shared]):.2f}x to the first token"
    )


async def reload(folder: Path, first: float) -> None:
    """Print how long a reload from the host's memory takes, against a cold load."""
    cold = [first]
    hot = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        engine = await load_transformers(_plan(folder))
        cold.append(time.perf_counter() - begun)
        await engine.park()
        begun = time.perf_counter()
        await engine.unpark()
        hot.append(time.perf_counter() - begun)
        await engine.close()
    print(
        f"reload from the host: {statistics.median(hot):.3f} s, "
        f"{_ratio(hot, cold[1:]):.3f}x of a cold load of {statistics.median(cold[1:]):.2f} s"
    )


async def main() -> None:
    """Measure everything."""
    folder = await anyio.to_thread.run_sync(smollm_safetensors)
    begun = time.perf_counter()
    engine = await load_transformers(_plan(folder))
    first = time.perf_counter() - begun
    await _read(engine, "warm up", 2, 0.0)
    await batching(engine, folder)
    await prefix(engine)
    await engine.close()
    await reload(folder, first)


if __name__ == "__main__":
    anyio.run(main)
