"""Engines whose every step a test allows, on memory that a test can let run out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel

from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.fake import FakeEngine
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    EngineDied,
    Footprint,
    LoadPlan,
    TokenUsage,
    Turn,
)
from llmasos.models.scheduler.decide import decide
from llmasos.models.scheduler.loop import Decide, Scheduler
from llmasos.models.scheduler.metrics import Metrics
from llmasos.models.scheduler.types import Card, Client, Rules

SIZE = 100


def word(number: int) -> str:
    """Return the text of the token at this place of a reply."""
    return f"w{number} "


def text(tokens: int) -> str:
    """Return a reply of so many tokens."""
    return "".join(map(word, range(tokens)))


class SlowEngine(FakeEngine):
    """Writes numbered words, each when it is allowed to, and can go on with what it has.

    Args:
        plan: How it was loaded.
        device: Whose memory it takes.
    """

    def __init__(self, plan: LoadPlan, device: SimDevice) -> None:
        super().__init__(name=plan.name, context=plan.context, slots=plan.slots)
        self.device = device
        self.free = True
        self.faults: dict[str, Exception] = {}
        self.running = 0
        self.most = 0
        self.steps = 0
        self._allowed = anyio.Semaphore(0)
        self._dead: EngineDied | None = None

    def hold(self) -> None:
        """Wait for `allow` before each step from now on."""
        self.free = False

    def allow(self, steps: int = 1) -> None:
        """Let so many steps be made."""
        for _ in range(steps):
            self._allowed.release()

    def die(self) -> None:
        """End as a process that was killed."""
        self._dead = EngineDied(f"The engine of {self.name} was killed.", hint="Ask again to load it anew.")
        self.allow(1000)

    def _check(self, what: str) -> None:
        if self._dead is not None:
            raise self._dead
        if what in self.faults:
            raise self.faults.pop(what)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Yield numbered words, after those that are kept."""
        self.requests.append(request)
        self.running += 1
        self.most = max(self.most, self.running)
        finished = False
        try:
            for token in range(len(request.kept), request.max_tokens):
                if self.free:
                    await anyio.lowlevel.checkpoint()
                else:
                    await self._allowed.acquire()
                self._check("step")
                self.steps += 1
                yield Chunk(text=word(token), tokens=(token,))
            usage = TokenUsage(input=1, output=request.max_tokens - len(request.kept))
            yield Chunk(finish_reason="length", usage=usage)
            finished = True
        finally:
            self.running -= 1
            self.stopped += not finished

    def resumable(self, request: CompletionRequest) -> bool:
        """Return whether it has no grammar."""
        return not request.grammar

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Remember the prefix."""
        self._check("prepare")
        await super().prepare(prefix)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return vectors, when it is allowed to."""
        if not self.free:
            await self._allowed.acquire()
        self._check("embed")
        return await super().embed(texts)

    async def footprint(self) -> Footprint:
        """Return the bytes that it takes."""
        self._check("footprint")
        return Footprint(weights=SIZE)

    async def park(self) -> int:
        """Give the device's memory back."""
        self._check("park")
        self.device.give(self.name)
        return await super().park() or SIZE

    async def unpark(self) -> None:
        """Take memory again."""
        self._check("unpark")
        self.device.take(self.name, SIZE)
        await super().unpark()

    async def close(self) -> None:
        """Give everything back."""
        self.device.give(self.name)
        await super().close()
        self._check("close")


@dataclass
class SlowLoader:
    """Loads slow engines onto a device; faults are raised instead, in turn."""

    device: SimDevice
    engines: list[SlowEngine] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    held: bool = False
    make: type[SlowEngine] = SlowEngine
    loaded: Callable[[SlowEngine], object] = lambda engine: None

    async def __call__(self, plan: LoadPlan) -> SlowEngine:
        await anyio.lowlevel.checkpoint()
        if self.faults:
            raise self.faults.pop(0)
        self.device.take(plan.name, SIZE)
        engine = self.make(plan, self.device)
        engine.free = not self.held
        self.loaded(engine)
        self.engines.append(engine)
        return engine

    def last(self, model: str) -> SlowEngine:
        """Return the engine that was loaded last for a model."""
        return [engine for engine in self.engines if engine.name == model][-1]


@dataclass
class Bench:
    """A scheduler with its engines."""

    scheduler: Scheduler
    loader: SlowLoader
    device: SimDevice

    def register(self, *models: str, slots: int = 1, host: int = 0, context: int = 1000) -> None:
        for model in models:
            card = Card(model, self.device.name, SIZE, host_bytes=host, context=context, slots=slots)
            plan = LoadPlan(
                name=model, path=Path("none"), cache_dir=Path("none"), context=context, slots=slots
            )
            self.scheduler.register(card, plan)

    async def read(self, model: str, tokens: int, client: Client | None = None, **more: object) -> str:
        """Return a whole reply."""
        chunks = [
            chunk async for chunk in self.scheduler.stream(model, ask(tokens, **more), client or Client())
        ]
        assert chunks[-1].finish_reason == "length"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.output == tokens
        return "".join(chunk.text for chunk in chunks)


def ask(tokens: int, **more: object) -> CompletionRequest:
    """Return a request for so many tokens."""
    return CompletionRequest.model_validate(
        {"turns": (Turn(role="user", content="go"),), "max_tokens": tokens, **more}
    )


@asynccontextmanager
async def bench(
    *models: str,
    budget: int = 10 * SIZE,
    slots: int = 1,
    host: int = 0,
    context: int = 1000,
    buffer: int = 64,
    rules: Rules | None = None,
    decide: Decide = decide,
    metrics: Metrics | None = None,
) -> AsyncIterator[Bench]:
    """Set up a scheduler with models of `SIZE` bytes each."""
    device = SimDevice(budget)
    loader = SlowLoader(device)
    rules = rules or Rules(host_budget=10 * SIZE)
    async with Scheduler(rules, [device], loader, buffer=buffer, decide=decide, metrics=metrics) as scheduler:
        it = Bench(scheduler, loader, device)
        it.register(*models, slots=slots, host=host, context=context)
        yield it
    assert not scheduler.effects.tickets
    assert device.taken == 0, "something was not freed"


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks run until the condition holds."""
    while not condition():
        await anyio.lowlevel.checkpoint()
