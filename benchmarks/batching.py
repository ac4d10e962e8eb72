"""Continuous batching beside `generate` and the llama.cpp server; shared prefixes; reloads."""

from __future__ import annotations

import gc
import http.client
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio

from benchmarks.figure import Figure, ratio
from benchmarks.generation import SLOTS, Asked, Plain, plan, read, together, transformers_engine, written
from benchmarks.weights import smollm_gguf, smollm_safetensors
from llmasos.models import Engine
from llmasos.models.engines.llama_server import Signals
from llmasos.models.engines.port import CompletionRequest
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
Run = tuple[float, float]
"""Tokens per second, and seconds to the mean first token."""


def sequential(model: Plain) -> Run:
    """Return what `generate` does, one request after the other."""
    begun = time.process_time()
    results = [model.generate(prompt, count, time.process_time) for prompt, count in REQUESTS]
    rate = written(results, REQUESTS) / (time.process_time() - begun)
    return rate, statistics.mean(first for first, _ in results) - begun


@contextmanager
def llama_server(file: Path) -> Iterator[str]:
    """Start the llama.cpp server of the binding, with slots and no prompts kept, and give its address."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_ctx, params.n_parallel = 1024 * SLOTS, SLOTS
    params.cache_ram_mib, params.warmup, params.verbosity, params.ui = 0, False, -1, False
    signals = Signals()
    server = xllamacpp.Server(params)
    signals.restore()
    yield server.listening_address.removeprefix("http://")


def _post(address: str, asked: Asked) -> tuple[float, int]:
    """Have the server write after a prompt; return when the first token came, and how many came."""
    prompt, count = asked
    body = {"prompt": prompt, "n_predict": count, "temperature": 0, "stream": True}
    body |= {"ignore_eos": True, "cache_prompt": False}
    connection = http.client.HTTPConnection(address)
    connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
    first, tokens = 0.0, 0
    for line in connection.getresponse():
        if line.startswith(b"data: "):
            event = json.loads(line[6:])
            first = first or time.process_time()
            tokens = event.get("tokens_predicted", tokens)
    connection.close()
    return first, tokens


def served(address: str) -> Run:
    """Return what the llama.cpp server does when all requests come at once."""
    begun = time.process_time()
    with ThreadPoolExecutor(SLOTS) as threads:
        results = list(threads.map(partial(_post, address), REQUESTS))
    rate = written(results, REQUESTS) / (time.process_time() - begun)
    return rate, statistics.mean(first for first, _ in results) - begun


async def peers(engine: Engine, address: str, model: Plain) -> list[Figure]:
    """Measure throughput and first tokens beside `generate` and the llama.cpp server."""
    ours, alone, llama = list[Run](), list[Run](), list[Run]()
    for number in range(RUNS):
        # Each run has a tenant of its own, or the second one would find the first one's prompts.
        ours.append(await together(engine, REQUESTS, lambda _, number=number: f"run{number}"))  # type: ignore[misc]
        alone.append(await anyio.to_thread.run_sync(sequential, model))
        llama.append(await anyio.to_thread.run_sync(served, address))
    (rate, first), (rate_alone, first_alone), (rate_llama, first_llama) = (
        zip(*runs, strict=True) for runs in (ours, alone, llama)
    )

    def beside(one: Sequence[float], other: Sequence[float], peer: str, unit: str) -> str:
        return f"{statistics.median(one):.2f} {unit}, {peer} {statistics.median(other):.2f} {unit}"

    return [
        Figure(
            "8 requests at once: throughput, beside `generate`",
            ratio(rate, rate_alone),
            beside(rate, rate_alone, "one after the other", "tokens/s"),
            2.5,
        ),
        Figure(
            "the same: mean first token, how much sooner",
            ratio(first_alone, first),
            beside(first, first_alone, "one after the other", "s"),
            6,
        ),
        Figure(
            "the same: throughput, beside the llama.cpp server with 8 slots (Q4_1)",
            ratio(rate, rate_llama),
            beside(rate, rate_llama, "llama.cpp", "tokens/s"),
            1,
        ),
        Figure(
            "the same: mean first token, how much sooner",
            ratio(first_llama, first),
            beside(first, first_llama, "llama.cpp", "s"),
        ),
    ]


async def prefix(engine: Engine) -> list[Figure]:
    """Measure what a shared prefix saves."""
    asked = tuple((f"{SHARED} Question {number}: why?", 12) for number in range(SLOTS))
    shared, apart = list[Run](), list[Run]()
    for number in range(RUNS):
        first = CompletionRequest(prompt=f"{SHARED} Question", max_tokens=1, tenant=f"shared{number}")
        await read(engine.stream(first), time.process_time)
        shared.append(await together(engine, asked, lambda _, number=number: f"shared{number}"))  # type: ignore[misc]
        apart.append(await together(engine, asked, lambda at, number=number: f"{number} {at}"))  # type: ignore[misc]
    rates, firsts = zip(*shared, strict=True)
    rates_apart, firsts_apart = zip(*apart, strict=True)
    return [
        Figure(
            "a shared prefix of 600 tokens, 8 requests: time saved, beside tenants that share nothing",
            ratio(rates, rates_apart),
            f"{statistics.median(rates):.1f} tokens/s, apart {statistics.median(rates_apart):.1f} tokens/s",
            1.8,
        ),
        Figure(
            "the same: mean first token, how much sooner",
            ratio(firsts_apart, firsts),
            f"{statistics.median(firsts):.2f} s, apart {statistics.median(firsts_apart):.2f} s",
            3.5,
        ),
    ]


async def reload(folder: Path) -> Figure:
    """Measure a reload from the host's memory beside a cold load, with the files in the page cache."""
    cold, hot = list[float](), list[float]()
    for _ in range(2 * RUNS - 1):
        begun = time.perf_counter()
        engine = await load_transformers(plan(folder))
        cold.append(time.perf_counter() - begun)
        await engine.park()
        begun = time.perf_counter()
        await engine.unpark()
        hot.append(time.perf_counter() - begun)
        await engine.close()
    return Figure(
        "reload from the host's memory, beside a cold load (by the clock; no bytes move on a CPU)",
        ratio(hot, cold),
        f"{statistics.median(hot) * 1000:.0f} ms, cold {statistics.median(cold) * 1000:.0f} ms",
        0.15,
        least=False,
    )


async def _measure(folder: Path, address: str) -> list[Figure]:
    model = Plain(folder)
    async with transformers_engine() as engine:
        rows = [*await peers(engine, address, model), *await prefix(engine)]
    del model
    gc.collect()
    return [*rows, await reload(folder)]


def measure() -> list[Figure]:
    """Measure everything."""
    folder = smollm_safetensors()
    with llama_server(smollm_gguf()) as address:
        return anyio.run(_measure, folder, address)
