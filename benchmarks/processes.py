"""What a process of its own costs an engine."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import anyio

from benchmarks.figure import Figure
from benchmarks.generation import plan, read
from llmasos.models import Engine
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.port import CompletionRequest
from llmasos.models.engines.process import EngineProcess

TOKENS, RUNS = 4000, 5
WORKER = """
import socket, sys
import anyio
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.worker import serve

async def load(plan):
    return CountingEngine(context=plan.context)

anyio.run(serve, socket.socket(fileno=int(sys.argv[1])), load)
"""


async def _seconds(engine: Engine) -> float:
    begun = time.perf_counter()
    await read(engine.stream(CompletionRequest(prompt="count", max_tokens=TOKENS)), time.perf_counter)
    return (time.perf_counter() - begun) / TOKENS


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        worker = Path(folder) / "worker.py"
        worker.write_text(WORKER)
        process = EngineProcess(plan(Path(folder), Path(folder)).model_copy(update={"context": 2 * TOKENS}))
        await process.start([str(worker)])
        try:
            there = statistics.median([await _seconds(process) for _ in range(RUNS)])
        finally:
            await process.close()
    here = statistics.median([await _seconds(CountingEngine(context=2 * TOKENS)) for _ in range(RUNS)])
    return [
        Figure(
            "an engine's own process adds to a token (by the clock)",
            (there - here) * 1e6,
            f"{there * 1e6:.0f} µs there, {here * 1e6:.0f} µs here, with an engine that only counts",
            unit=" µs",
        )
    ]


def measure() -> list[Figure]:
    """Measure it."""
    return anyio.run(_measure)
