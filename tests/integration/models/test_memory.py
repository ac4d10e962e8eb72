"""Memory that runs out at any allocation of an engine, alone and under the scheduler."""

import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.tiny import make_tiny
from benchmarks.weights import smollm_gguf
from llmasos.errors import ModelError
from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.port import CompletionRequest, Engine, Footprint, LoadPlan, OutOfMemory
from llmasos.models.engines.process import EngineProcess, load_process
from llmasos.models.engines.transformers import load as loading
from llmasos.models.engines.transformers import load_transformers
from llmasos.models.scheduler.loop import Scheduler
from llmasos.models.scheduler.types import Card, Client, Rules

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

PROMPTS = ("Once upon a time", "The other " * 8, "A third")


class Shortage(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch computes, each of which takes memory, and fails one of it when told to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0
        self.fails_at = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        if self.count == self.fails_at:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return function(*args, **(kwargs or {}))

    def begin(self, fails_at: int = 0) -> None:
        """Count from the start."""
        self.count, self.fails_at = 0, fails_at


@pytest.fixture
def shortage(monkeypatch: pytest.MonkeyPatch) -> Shortage:
    """Watch the threads of all engines that are loaded from now on."""
    found, read = Shortage(), loading.read

    def watched(plan: LoadPlan) -> Any:
        # A mode is of one thread, and stays for as long as that lives.
        found.__enter__()  # type: ignore[no-untyped-call]
        return read(plan)

    monkeypatch.setattr(loading, "read", watched)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make_tiny(tmp_path_factory.mktemp("tiny"))
    # Each cache that is freed collects garbage, among all that was imported by now.
    gc.freeze()
    yield folder
    gc.unfreeze()


def _plan(folder: Path, name: str = "a") -> LoadPlan:
    return LoadPlan(
        name=name,
        path=folder,
        format="safetensors",
        cache_dir=folder,
        context=128,
        slots=2,
        threads=1,
        dtype="float32",
    )


def spread(count: int, points: int) -> list[int]:
    """Return numbers up to a count, the first and the last among them."""
    return sorted({1 + (count - 1) * point // (points - 1) for point in range(points)})


async def texts(engine: Engine) -> dict[str, str]:
    """Return the replies to all prompts at once; those that find no memory are missing."""
    found: dict[str, str] = {}

    async def one(prompt: str) -> None:
        request = CompletionRequest(prompt=prompt, max_tokens=5)
        try:
            found[prompt] = "".join([chunk.text async for chunk in engine.stream(request)])
        except OutOfMemory:
            return

    async with anyio.create_task_group() as group:
        for prompt in PROMPTS:
            group.start_soon(one, prompt)
    return found


@pytest.mark.parametrize(("work", "points"), [("write", 8), ("embed", 3), ("park", 6), ("unpark", 6)])
async def test_an_engine_goes_on_whatever_finds_no_memory(
    folder: Path, shortage: Shortage, work: str, points: int
) -> None:
    engine: Any = await load_transformers(_plan(folder))
    whole, vectors, size = await texts(engine), await engine.embed(["text"]), await engine.footprint()
    # What is kept of prompts for later requests stays the same.
    left = engine._batch.free_share

    async def act(fails_at: int) -> dict[str, str]:
        await engine.unpark()
        if work == "unpark":
            await engine.park()
        shortage.begin(fails_at)
        if work == "write":
            return await texts(engine)
        try:
            await (engine.embed(["text"]) if work == "embed" else getattr(engine, work)())
        except OutOfMemory:
            pass
        else:
            assert not fails_at
        return {}

    await act(0)
    for fails_at in spread(shortage.count, points):
        with anyio.fail_after(60):
            assert (await act(fails_at)).items() <= whole.items()
            shortage.begin()
            await engine.unpark()
            assert await texts(engine) == whole
            assert await engine.embed(["text"]) == vectors
        assert await engine.footprint() == size
        assert engine._batch.replies == {}
        assert engine._batch.free_share == left
    await engine.close()


async def test_a_load_that_finds_no_memory_leaves_nothing(folder: Path, shortage: Shortage) -> None:
    shortage.begin()
    await (await load_transformers(_plan(folder))).close()
    for fails_at in spread(shortage.count, 5):
        shortage.begin(fails_at)
        with pytest.raises(OutOfMemory):
            await load_transformers(_plan(folder))
    shortage.begin()
    engine = await load_transformers(_plan(folder))
    assert await texts(engine)
    await engine.close()
    with anyio.fail_after(30):
        while any(thread.name == "torch-a" for thread in threading.enumerate()):
            await anyio.sleep(0.001)


async def test_llama_tells_a_want_of_memory_from_a_damaged_file(tmp_path: Path) -> None:
    script = (
        "import resource, sys, anyio\n"
        "from llmasos.models.engines.llama import LlamaEngine\n"
        "from llmasos.models.engines.llama_server import version\n"
        "from llmasos.models.engines.port import LoadPlan, OutOfMemory\n"
        "version()\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (900 << 20),) * 2)\n"
        "try:\n"
        "    anyio.run(LlamaEngine.load, LoadPlan.model_validate_json(sys.argv[1]))\n"
        "except OutOfMemory as error:\n"
        "    print(error.message)\n"
    )
    path = await anyio.to_thread.run_sync(smollm_gguf)
    plan = LoadPlan(name="large", path=path, cache_dir=tmp_path, context=65536, slots=2, threads=1)
    ended = await anyio.run_process([sys.executable, "-c", script, plan.model_dump_json()])
    assert ended.stdout.decode() == "There is no memory for the model large.\n"


async def test_a_process_that_is_killed_as_it_loads_had_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, killed = EngineProcess.start, ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    monkeypatch.setattr(EngineProcess, "start", lambda engine: start(engine, killed))
    plan = LoadPlan(name="a", path=tmp_path, cache_dir=tmp_path)
    with pytest.raises(OutOfMemory, match="SIGKILL"):
        await load_process(plan)


@dataclass
class Bench:
    """A scheduler with two models of which one fits."""

    scheduler: Scheduler
    ahead: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)

    async def read(self, model: str, prompt: str, into: dict[str, str]) -> None:
        request, client = CompletionRequest(prompt=prompt, max_tokens=5), Client(session=prompt)
        try:
            stream = self.scheduler.stream(model, request, client)
            into[model + prompt] = "".join([chunk.text async for chunk in stream])
        except ModelError as error:
            assert error.message
            self.outcomes[type(error).__name__] += 1

    async def everything(self) -> dict[str, str]:
        """Let both models write, embed, leave for each other and come back."""
        found: dict[str, str] = {}
        for model in ("a", "b", "a"):
            async with anyio.create_task_group() as group:
                for prompt in PROMPTS[:2]:
                    group.start_soon(self.read, model, prompt, found)
            try:
                await self.scheduler.call(model, lambda engine: engine.embed(["text"]))
            except ModelError as error:
                self.outcomes[type(error).__name__] += 1
        return found

    async def swap(self) -> dict[str, str]:
        """Let one model leave for the other, which comes back from the host."""
        try:
            await self.scheduler.ask("b", "load")
        except ModelError as error:
            self.outcomes[type(error).__name__] += 1
        return {}

    def check(self) -> None:
        """Check that what the scheduler counts is what there is."""
        state, residents = self.scheduler.state, self.scheduler.effects.residents.values()
        assert not state.jobs
        assert state.used("sim") == sum(60 for one in residents if one.place == "resident")
        assert (state.host_used > 0) == any(one.place == "parked" for one in residents)


async def test_the_scheduler_goes_on_whatever_finds_no_memory(folder: Path, shortage: Shortage) -> None:
    async def load(plan: LoadPlan) -> Engine:
        engine = await load_transformers(plan)

        async def footprint() -> Footprint:
            return Footprint(weights=60)

        engine.footprint = footprint  # type: ignore[method-assign]
        return engine

    it: Bench
    scheduler = Scheduler(
        Rules(host_budget=1 << 30), [SimDevice(100)], load, clock=lambda: anyio.current_time() + it.ahead
    )
    it = Bench(scheduler)
    async with scheduler:
        for name in "ab":
            card = Card(name, "sim", 60, host_bytes=50, context=128, slots=2)
            scheduler.register(card, _plan(folder, name))
        whole = await it.everything()
        assert len(whole) == 4
        for work, points in ((it.everything, 7), (it.swap, 8)):
            shortage.begin()
            assert await work() in (whole, {})
            for fails_at in spread(shortage.count, points):
                with anyio.fail_after(60):
                    shortage.begin(fails_at)
                    assert (await work()).items() <= whole.items()
                    it.check()
                    # What failed may be tried again after a while.
                    it.ahead += 1000.0
                    shortage.begin()
                    assert await it.everything() == whole
        assert it.outcomes.keys() == {"OutOfMemory", "Refused"}
    assert not scheduler.effects.tickets
