"""Models on a GPU, beside `generate`: `python -m benchmarks.gpu`, on a machine that has one.

The weights are random, which changes nothing of how long a token takes, so that nothing is fetched.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from benchmarks.batching import REQUESTS, RUNS
from benchmarks.figure import HEAD, Figure, ratio
from benchmarks.generation import END, SLOTS, together
from benchmarks.page import write
from benchmarks.tiny import make_tiny
from llmasos.models import Engine
from llmasos.models.engines.port import CompletionRequest, LoadPlan
from llmasos.models.engines.transformers import load_transformers

SHAPE: dict[str, Any] = {
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.02,
}
"""Qwen2.5 1.5B's, but for its vocabulary."""
DEVICE = "cuda:0"
WARM = 2
"""Runs of each that do not count: shapes that are new cost a card some time."""
Run = tuple[float, float]
"""Tokens per second, and seconds to the mean first token."""


class Peer:
    """A model with `generate` on the GPU.

    Args:
        folder: Its safetensors.
    """

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self._model = model.to(DEVICE)

    def alone(self) -> Run:
        """Return what it does with one request after the other."""
        begun, firsts, tokens = time.perf_counter(), [], 0
        for prompt, count in REQUESTS:
            firsts.append(self._write([prompt], count) - begun)
            tokens += count
        return tokens / (time.perf_counter() - begun), statistics.mean(firsts)

    def batched(self) -> Run:
        """Return what it does with all at once, padded to the longest; only what was asked for counts."""
        begun = time.perf_counter()
        first = self._write([prompt for prompt, _ in REQUESTS], max(count for _, count in REQUESTS)) - begun
        return sum(count for _, count in REQUESTS) / (time.perf_counter() - begun), first

    def _write(self, prompts: list[str], count: int) -> float:
        """Write so many tokens after each prompt, and return when the first of them came."""
        import torch
        from transformers import LogitsProcessorList

        times: list[float] = []

        def seen(_ids: Any, scores: Any) -> Any:
            if not times:
                # The first token is chosen from these at once.
                torch.cuda.synchronize()
                times.append(time.perf_counter())
            return scores

        rows = [self._tokenizer.encode(prompt, add_special_tokens=False) for prompt in prompts]
        longest = max(map(len, rows))
        ids = torch.tensor([[END] * (longest - len(row)) + row for row in rows], device=DEVICE)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=DEVICE)
        self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            min_new_tokens=count,
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=END,
            logits_processor=LogitsProcessorList([seen]),
        )
        torch.cuda.synchronize()
        return times[0]


async def measure(folder: Path) -> list[Figure]:
    """Measure a model whose weights are in a folder."""
    plan = LoadPlan(
        name="random",
        path=folder,
        format="safetensors",
        cache_dir=folder,
        context=4096,
        slots=SLOTS,
        threads=4,
        dtype="bfloat16",
        device=DEVICE,
    )
    begun = time.perf_counter()
    engine = await load_transformers(plan)
    loaded = time.perf_counter() - begun
    peer = Peer(folder)
    ours, alone, batched = list[Run](), list[Run](), list[Run]()
    for number in range(WARM + RUNS):
        ours.append(await _together(engine, f"run{number}"))
        alone.append(peer.alone())
        batched.append(peer.batched())
    (rate, first), (rate_alone, first_alone), (rate_batched, first_batched) = (
        zip(*runs[WARM:], strict=True) for runs in (ours, alone, batched)
    )
    singles = [await _single(engine, number) for number in range(RUNS)]
    parks = [await _moved(engine) for _ in range(RUNS)]
    weights = (await engine.footprint()).weights / 1e9
    await engine.close()
    out, back = (statistics.median(times) for times in zip(*parks, strict=True))
    middle = statistics.median
    return [
        Figure(
            "8 requests at once: throughput, beside `generate` one after the other",
            ratio(rate, rate_alone),
            f"{middle(rate):,.0f} tokens/s, {middle(rate_alone):,.0f} tokens/s",
        ),
        Figure(
            "the same: mean first token, how much sooner",
            ratio(first_alone, first),
            f"{1000 * middle(first):,.0f} ms, {1000 * middle(first_alone):,.0f} ms",
        ),
        Figure(
            "the same: throughput, beside `generate` with all padded to the longest",
            ratio(rate, rate_batched),
            f"{middle(rate):,.0f} tokens/s, {middle(rate_batched):,.0f} tokens/s",
        ),
        Figure(
            "the same: mean first token, how much sooner",
            ratio(first_batched, first),
            f"{1000 * middle(first):,.0f} ms, {1000 * middle(first_batched):,.0f} ms",
        ),
        Figure("one request alone", middle(singles), unit=" tokens/s"),
        Figure("loading, with the weights on the disk", loaded, f"{weights:.1f} GB", unit=" s"),
        Figure("moving to the machine's own memory", 1000 * out, f"{weights / out:.1f} GB/s", unit=" ms"),
        Figure("moving back", 1000 * back, f"{weights / back:.1f} GB/s", unit=" ms"),
    ]


async def _together(engine: Engine, tenant: str) -> Run:
    return await together(engine, REQUESTS, lambda _: tenant, clock=time.perf_counter)


async def _single(engine: Engine, number: int) -> float:
    rate, _ = await together(
        engine, [(f"Once {number}", 200)], lambda _: f"single{number}", clock=time.perf_counter
    )
    return rate


async def _moved(engine: Engine) -> tuple[float, float]:
    begun = time.perf_counter()
    await engine.park()
    parked = time.perf_counter()
    await engine.unpark()
    # A model that can be asked again is back.
    await _together_one(engine)
    return parked - begun, time.perf_counter() - parked


async def _together_one(engine: Engine) -> None:
    async for _ in engine.stream(CompletionRequest(prompt="a", max_tokens=1)):
        pass


def main() -> None:
    """Measure, and write the page's part."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU on this machine.")
    with tempfile.TemporaryDirectory() as folder:
        make_tiny(Path(folder), "Qwen2", **SHAPE)
        figures = anyio.run(measure, Path(folder))
    rows = [figure.markdown() for figure in figures]
    print(*rows, sep="\n")
    write(
        {
            "gpu": [
                "A model of the shape of Qwen2.5 1.5B with random weights, by the engine for safetensors",
                f"in bfloat16 with {SLOTS} slots, on one {torch.cuda.get_device_name(0)}, torch",
                f"{torch.__version__}. Times are by the clock; medians of {RUNS} runs, ours and the",
                "peer's one after the other.",
                "",
                *HEAD,
                *rows,
            ]
        },
        elsewhere=True,
    )


if __name__ == "__main__":
    main()
