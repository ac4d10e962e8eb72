"""How fast and how small federated training is, and whether it gives the papers' figures, in one run.

    python -m benchmarks federated

Flower is installed into an environment of its own from federated.requirements.txt.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import numpy as np

from benchmarks import federated_papers
from benchmarks.deployment import deployment
from benchmarks.federated_peers import Pace, by_hand, flower, flwr_run
from benchmarks.figure import HEAD, Figure, ratio
from llmasos.federated.data import fetch_mnist
from llmasos.federated.data.mnist import folder
from llmasos.federated.events import RoundEnded, RunEvent
from llmasos.federated.plan import Plan
from llmasos.federated.recipes import recipe
from llmasos.federated.runs import Runs
from llmasos.federated.schema import Schema

TIMES, FLOWER_TIMES = 5, 3
DIGITS: dict[str, Any] = {
    "name": "digits",
    "recipe": "mlp",
    "data": {"sources": ["digits"]},
    "clients": 10,
    "rounds": 20,
}
MNIST: dict[str, Any] = {
    "name": "2NN",
    "recipe": "mlp",
    "data": {"sources": ["mnist"], "holdout": 1 / 7},
    "clients": 100,
    "rounds": 6,
    "sample": 0.1,
    "training": {"batch": 10},
}
ROWS, COLUMNS = 20_000, 20
MANY = 1000


@dataclass(frozen=True)
class Ran:
    """What a run took.

    Args:
        prepared: Seconds of looking at the data and forecasting.
        whole: Seconds from the start to the end.
        peak: Bytes of memory that its processes had at most, what they share counted once.
        events: What it told.
    """

    prepared: float
    whole: float
    peak: int
    events: list[RunEvent]

    @property
    def rounds(self) -> list[RoundEnded]:
        """The rounds."""
        return [event for event in self.events if isinstance(event, RoundEnded)]

    @property
    def pace(self) -> Pace:
        """How long it took."""
        rounds = self.rounds
        after = (rounds[-1].at - rounds[0].at).total_seconds()
        return Pace(self.whole, after, rounds[-1].accuracy or 0.0)


async def run(plan: Plan, *, watching: bool = False) -> Ran:
    """Train with the product's own command path.

    Args:
        watching: Whether memory is measured, which takes time of its own.
    """

    async def record(event: RunEvent) -> None:
        pass

    peaks = [0]

    async def watch(session: int) -> None:
        while True:
            peaks.append(memory(session))
            await anyio.sleep(0.02)

    with tempfile.TemporaryDirectory() as base:
        async with anyio.create_task_group() as tasks:
            runs = Runs(Path(base) / "runs", tasks, record)
            began = time.perf_counter()
            made = await runs.prepare(plan)
            prepared = time.perf_counter() - began
            began = time.perf_counter()
            started = await runs.start(made.id)
            if watching and started.pid:
                tasks.start_soon(watch, started.pid)
            events = [event async for event in started.events()]
            whole = time.perf_counter() - began
            state = started.status()
            tasks.cancel_scope.cancel()
        if state.state not in ("completed", "target"):
            raise RuntimeError(f"{plan.name} {state.state}: {state.reason}")
    return Ran(prepared, whole, max(peaks), events)


def trained(plan: Plan) -> list[RoundEnded]:
    """Return the rounds of a training."""
    return anyio.run(run, plan).rounds


def memory(session: int) -> int:
    """Return how many bytes the processes of a session have, each page shared among those that have it."""
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if int(place.joinpath("stat").read_text().rpartition(")")[2].split()[3]) == session:
                lines = place.joinpath("smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration, ValueError):
            continue
    return total


def local() -> list[Figure]:
    """Measure the local backend beside a loop by hand, one after the other again and again."""
    figures = []
    sizes = ((DIGITS, TIMES, "digits, 10 clients"), (MNIST, FLOWER_TIMES, "MNIST, 10 of 100 clients"))
    for given, times, what in sizes:
        plan = Plan.model_validate(given)
        pairs = [(anyio.run(run, plan).pace, by_hand(plan)) for _ in range(times)]
        ours, theirs = [[one[side].rounds for one in pairs] for side in (0, 1)]
        each = plan.rounds - 1
        figures.append(
            Figure(
                f"local backend after round 1, beside a loop by hand ({what}, 2NN)",
                ratio(ours, theirs),
                f"{statistics.median(ours) / each * 1000:.1f} ms a round, "
                f"by hand {statistics.median(theirs) / each * 1000:.1f} ms",
                2.0,
                least=False,
            )
        )
    return figures


def stock() -> list[Figure]:
    """Measure the local backend beside `flwr run` on the same recipe and rows, in turn."""
    plan = Plan.model_validate({**DIGITS, "rounds": 10})
    with flower() as environment:
        pairs = [(anyio.run(run, plan).pace, flwr_run(plan, environment)) for _ in range(FLOWER_TIMES)]
    ours, theirs = [[one[side].whole for one in pairs] for side in (0, 1)]
    after, their_after = [[one[side].rounds for one in pairs] for side in (0, 1)]
    return [
        Figure(
            "`flwr run` beside the local backend, the whole run (digits, 10 clients, 10 rounds)",
            ratio(theirs, ours),
            f"{statistics.median(ours):.1f} s, `flwr run` {statistics.median(theirs):.1f} s",
            10.0,
        ),
        Figure(
            "the same: after round 1",
            ratio(their_after, after),
            f"{statistics.median(after):.2f} s, `flwr run` {statistics.median(their_after):.2f} s",
        ),
    ]


async def watched(given: dict[str, Any], clients: int) -> Ran:
    """Train with so many clients, of which ten are sampled, and watch its memory."""
    plan = Plan.model_validate({**given, "name": "many", "clients": clients, "sample": 10 / clients})
    return await run(plan, watching=True)


def many() -> list[Figure]:
    """Measure the memory of a run with very many clients beside one with those that are sampled only."""
    with tempfile.TemporaryDirectory() as base:
        file = Path(base) / "rows.csv"
        _write_table(file)
        given = {"recipe": "mlp", "data": {"sources": [str(file)]}, "rounds": 3}
        few, most = [anyio.run(watched, given, clients) for clients in (10, MANY)]
    return [
        Figure(
            f"peak memory with {MANY:,} clients, 10 of them sampled, beside 10 clients on the same rows",
            most.peak / few.peak,
            f"{most.peak / 2**20:.0f} MiB, {few.peak / 2**20:.0f} MiB with 10",
            1.1,
            least=False,
        )
    ]


def _write_table(path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, ROWS)
    inputs = draw.normal(size=(ROWS, COLUMNS)) + np.eye(COLUMNS)[labels] * 3
    lines = [",".join([*(f"x{place}" for place in range(COLUMNS)), "label"])]
    for row, label in zip(inputs, labels, strict=True):
        lines.append(",".join([*(f"{value:.4f}" for value in row), f"class-{label}"]))
    path.write_text("\n".join(lines) + "\n")


def adapter() -> list[Figure]:
    """Compare a message of a LoRA training with the model that it adapts, a small GPT-2 of random weights."""
    from llmasos.federated.messages import record_of

    with tempfile.TemporaryDirectory() as base:
        model = Path(base) / "model"
        _write_gpt2(model)
        options = {"model": str(model), "rank": 8}
        sent = record_of(recipe("lora").initial(Schema(kind="texts"), options, 0))
        message = sum(len(array.data) for array in sent.values())
        whole = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    return [
        Figure(
            "a message of LoRA fine-tuning (rank 8), beside the model",
            message / whole * 100,
            f"{message / 1e3:,.0f} kB, the model {whole / 1e3:,.0f} kB",
            1.0,
            least=False,
            unit="%",
        )
    ]


def _write_gpt2(place: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, set_seed

    set_seed(0)
    size: dict[str, Any] = {"vocab_size": 8192, "n_positions": 64, "n_embd": 256, "n_layer": 4, "n_head": 4}
    config = GPT2Config(**size, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(place)
    words = {"<end>": 0, "<unknown>": 1, "words": 2}
    tokens = Tokenizer(models.WordLevel(words, "<unknown>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    made: Any = PreTrainedTokenizerFast
    made(tokenizer_object=tokens, eos_token="<end>", unk_token="<unknown>").save_pretrained(place)


def lines() -> list[str]:
    """Measure everything, and return the section's lines."""
    fetch_mnist(folder())
    made = []
    for measure in (local, stock, deployment, many, adapter):
        for figure in measure():
            print(figure.markdown(), flush=True)
            made.append(figure.markdown())
    return [
        "Both sides of a row took turns in one run, with the same recipe, clients and rows. The loop by hand",
        "trains in one process, without Flower, and keeps nothing. The whole run is from the command to its",
        "end, of which Flower takes most to start. Memory counts shared pages once.",
        "",
        *HEAD,
        *made,
        "",
        *federated_papers.lines(trained),
    ]
