"""What parallel slots of llama.cpp give, and what a process costs: `python -m benchmarks.slots`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import anyio

from benchmarks.weights import smollm_gguf
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.llama import LlamaEngine
from llmasos.models.engines.port import CompletionRequest, Engine, LoadPlan
from llmasos.models.engines.process import EngineProcess

REQUESTS, TOKENS, FRAMES = 8, 48, 4000
WORKER = """
import socket, sys
import anyio
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.worker import serve

async def load(plan):
    return CountingEngine(context=plan.context)

anyio.run(serve, socket.socket(fileno=int(sys.argv[1])), load)
"""


async def run(engine: Engine, requests: int, tokens: int) -> tuple[float, float]:
    """Run requests at once; return this process's CPU seconds, and seconds to the mean first token."""
    begun, used = time.perf_counter(), time.process_time()
    firsts: list[float] = []

    async def one(number: int) -> None:
        request = CompletionRequest(prompt=f"{number} bottles of beer. " * 12, max_tokens=tokens)
        first = True
        async for chunk in engine.stream(request):
            if first and chunk.tokens:
                firsts.append(time.perf_counter() - begun)
                first = False

    async with anyio.create_task_group() as tasks:
        for number in range(requests):
            tasks.start_soon(one, number)
    return time.process_time() - used, sum(firsts) / len(firsts)


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        plan = LoadPlan(name="smollm", path=smollm, cache_dir=Path(folder), context=512, threads=1)
        rates = []
        for slots in (1, REQUESTS):
            engine = await LlamaEngine.load(plan.model_copy(update={"slots": slots}))
            seconds, first = await run(engine, REQUESTS, TOKENS)
            await engine.close()
            rates.append(REQUESTS * TOKENS / seconds)
            print(
                f"llama.cpp, {slots} slots: {rates[-1]:.0f} tokens per CPU-second, first after {first:.2f} s"
            )
        print(f"  {rates[1] / rates[0]:.2f}x the throughput")
        worker = Path(folder) / "worker.py"
        worker.write_text(WORKER)
        process = EngineProcess(plan.model_copy(update={"context": 2 * FRAMES}))
        await process.start([str(worker)])
        begun = time.perf_counter()
        await run(process, 1, FRAMES)
        there = time.perf_counter() - begun
        begun = time.perf_counter()
        await run(CountingEngine(context=2 * FRAMES), 1, FRAMES)
        here = time.perf_counter() - begun
        await process.close()
        print(f"a process costs {(there - here) / FRAMES * 1e6:.0f} microseconds for each token")


if __name__ == "__main__":
    smollm = smollm_gguf()
    anyio.run(main)
