"""A real model under the scheduler: however its jobs are run and moved about, the tokens stay the same."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from benchmarks.tiny import make_tiny
from benchmarks.weights import smollm_safetensors
from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.port import CompletionRequest, Engine, Footprint, LoadPlan
from llmasos.models.engines.transformers import load_transformers
from llmasos.models.scheduler.decide import advance
from llmasos.models.scheduler.decisions import Effect, Load, Park, Preempt, Start
from llmasos.models.scheduler.events import Event
from llmasos.models.scheduler.loop import Scheduler
from llmasos.models.scheduler.state import State
from llmasos.models.scheduler.types import Band, Card, Client, Rules

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

TOKENS, SLOTS = 10, 2
PROMPTS = (
    "The capital of France is",
    "Once upon a time, in a village by the sea, there lived",
    "1, 2, 3, 4,",
)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda:0",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="there is no GPU"),
        ],
    ),
]


async def _load(plan: LoadPlan) -> Engine:
    """Load a model that says it takes as much as its card says, so that there is room for one."""
    engine = await load_transformers(plan)

    async def footprint() -> Footprint:
        return Footprint(weights=60)

    engine.footprint = footprint  # type: ignore[method-assign]
    return engine


class Bench:
    """A scheduler with two models of which one fits, and what it decided."""

    def __init__(self) -> None:
        self.decided: list[Effect] = []
        self.kept: set[int] = set()
        # So little may lie unread that a reply which is not read does not get far.
        self.scheduler = Scheduler(
            Rules(host_budget=1 << 40), [SimDevice(100)], _load, decide=self._decide, buffer=4
        )

    def _decide(self, state: State, event: Event, now: float) -> tuple[State, tuple[Effect, ...]]:
        state, effects = advance(state, event, now)
        self.decided += effects
        self.kept |= {job.job.id for job in state.jobs.values() if job.kept}
        return state, effects

    def register(self, name: str, folder: Path, device: str) -> None:
        """Make a model known that can be parked, whatever its device."""
        plan = LoadPlan(
            name=name,
            path=folder,
            format="safetensors",
            cache_dir=folder,
            context=256,
            slots=SLOTS,
            threads=1,
            device=device,
            dtype="float32",
        )
        self.scheduler.register(Card(name, "sim", 60, host_bytes=50, context=256, slots=SLOTS), plan)

    async def read(self, prompt: str, into: dict[str, list[int]], pause: anyio.Event | None = None) -> None:
        """Read a reply; with a pause, wait for it after three tokens."""
        band: Band = "batch" if pause else "normal"
        request = CompletionRequest(prompt=prompt, max_tokens=TOKENS)
        tokens = into[prompt] = []
        client = Client(session=prompt, band=band)
        async with aclosing(self.scheduler.stream("real", request, client)) as chunks:
            async for chunk in chunks:
                tokens += chunk.tokens
                if pause is not None and len(tokens) >= 3:
                    await pause.wait()

    async def started(self, tokens: dict[str, list[int]], *prompts: str) -> None:
        """Return when three tokens of each of these replies were read."""
        while not all(len(tokens.get(prompt, ())) >= 3 for prompt in prompts):
            await anyio.sleep(0.001)

    async def other(self) -> None:
        """Let the other model be used, for which this one has to leave."""
        async for _ in self.scheduler.stream("tiny", CompletionRequest(prompt="a", max_tokens=2)):
            pass


@asynccontextmanager
async def bench(folder: Path, tiny: Path, device: str) -> AsyncIterator[Bench]:
    it = Bench()
    async with it.scheduler:
        it.register("real", folder, device)
        it.register("tiny", tiny, device)
        yield it


@pytest.mark.parametrize("device", DEVICES)
async def test_tokens_are_the_same_alone_together_preempted_and_after_eviction(
    tmp_path: Path, device: str
) -> None:
    folder = await anyio.to_thread.run_sync(smollm_safetensors)
    async with bench(folder, make_tiny(tmp_path), device) as it:
        alone: dict[str, list[int]] = {}
        for prompt in PROMPTS:
            await it.read(prompt, alone)
        assert all(len(tokens) == TOKENS for tokens in alone.values())

        first, *others = PROMPTS
        together: dict[str, list[int]] = {}
        async with anyio.create_task_group() as group:
            for prompt in others:
                group.start_soon(it.read, prompt, together)
        assert together == {prompt: alone[prompt] for prompt in others}
        assert not it.kept

        # Two that nobody reads on hold all slots until the third comes.
        preempted: dict[str, list[int]] = {}
        async with anyio.create_task_group() as group:
            pause = anyio.Event()
            for prompt in others:
                group.start_soon(it.read, prompt, preempted, pause)
            await it.started(preempted, *others)
            await it.read(first, preempted)
            pause.set()
        assert preempted == alone
        assert any(isinstance(effect, Preempt) for effect in it.decided)
        assert it.kept

        # Others wait while it is away, and those that it was taken from go on when it is back.
        it.decided, it.kept = [], set()
        evicted: dict[str, list[int]] = {}
        async with anyio.create_task_group() as group:
            pause = anyio.Event()
            for prompt in others:
                group.start_soon(it.read, prompt, evicted, pause)
            await it.started(evicted, *others)
            group.start_soon(it.other)
            while Park("real") not in it.decided:
                await anyio.sleep(0.001)
            group.start_soon(it.read, first, evicted)
            pause.set()
        assert evicted == alone
        moves = [effect for effect in it.decided if isinstance(effect, Load | Park)]
        assert moves == [Park("real"), Load("tiny"), Park("tiny"), Load("real", from_host=True)]
        assert len(it.kept) == len(others)
        starts = [effect.job for effect in it.decided if isinstance(effect, Start)]
        assert len(starts) > len(set(starts))
