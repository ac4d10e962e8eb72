"""Models: how fast they are generated with, shared, moved and called, each beside a peer."""

from __future__ import annotations

import multiprocessing
import textwrap
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from benchmarks import agents, batching, overhead, processes
from benchmarks.figure import HEAD

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Do it in a process of its own, so that only its own work is counted, and nothing of it stays."""
    print(f"measuring {work.__module__} ...", flush=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def lines() -> list[str]:
    """Measure everything, and return tables of it."""
    head = [
        "SmolLM2-135M, by the engine for safetensors in bfloat16 with 8 slots, every step computed by one",
        "thread, as in the peers. Where nothing else is said, times are of the processor: both sides are",
        "single processes, and their clients' work counts too. Medians of several runs, one after the other",
        "in one process; what is said of agents is one run each.",
        "",
        *HEAD,
    ]
    figures = [figure for part in (batching, overhead, processes) for figure in apart(part.measure)]
    beside_aios, ways = apart(agents.measure)
    rows = [figure.markdown() for figure in (*figures, *beside_aios)]
    print(*rows, sep="\n")
    return [
        *head,
        *rows,
        "",
        *textwrap.wrap(
            f"Agents that call again and again, until all together have {agents.SHARE} tokens each "
            f"(at least {agents.LEAST}). Each {agents.HEAVY}th makes {agents.HEAVY_CALLS} calls of "
            f"{agents.HEAVY_TOKENS} tokens at a time, the others one of {agents.LIGHT_TOKENS}. "
            "Waits are by the clock, from the call to its first token, or to the end where it was "
            "not served. Jain's index is of the tokens that agents were given. AIOS's shape computes "
            "in one thread per call, so that it may use more cores by the clock; an agent of ours "
            "that had much waits.",
            118,
        ),
        "",
        *ways,
    ]


if __name__ == "__main__":
    print(*lines(), sep="\n")
