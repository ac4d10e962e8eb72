"""Several engines of one model, as one engine."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, TypeVar

import anyio

from llmasos.errors import LLMasOSError, ModelError
from llmasos.models.engines.placed import Place, PlacedEngine
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    Engine,
    EngineDied,
    Footprint,
    Loader,
    LoadPlan,
    ReplicaDied,
    Turn,
)

_REMEMBERED = 4096
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0

Spawn = Callable[[], Awaitable[Engine]]

T = TypeVar("T")


class _Replica:
    """One engine, or none while it is restarted."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine | None = engine
        self.running = 0
        self.restart: asyncio.Task[None] | None = None


class Replicas:
    """An engine over replicas that die and come back one by one.

    Requests of one session, and those that begin alike within a tenant, go to the same replica while it has
    a free slot; others go to the one with the fewest requests.

    Args:
        engines: The replicas, at least one.
        spawn: Loads another one, for one that died.
    """

    def __init__(self, engines: Sequence[Engine], *, spawn: Spawn) -> None:
        self.name = engines[0].name
        self.context = min(engine.context for engine in engines)
        self._resumable = engines[0].resumable
        self._replicas = [_Replica(engine) for engine in engines]
        self._spawn = spawn
        self._homes: OrderedDict[tuple[str, ...], _Replica] = OrderedDict()
        self._changed = anyio.Event()
        self._problem = ""
        self._closed = False

    @classmethod
    async def load(cls, count: int, spawn: Spawn) -> Replicas:
        """Load replicas, all at once; where one fails the others are closed.

        Raises:
            ModelError: One of them cannot be loaded.
        """
        tasks = [asyncio.ensure_future(spawn()) for _ in range(count)]
        try:
            return cls(await asyncio.gather(*tasks), spawn=spawn)
        except BaseException:
            with anyio.CancelScope(shield=True):
                for task in tasks:
                    task.cancel()
                for loaded in await asyncio.gather(*tasks, return_exceptions=True):
                    if not isinstance(loaded, BaseException):
                        await loaded.close()
            raise

    @property
    def slots(self) -> int:
        """Requests that run at once on the replicas that live."""
        return max(1, sum(replica.engine.slots for replica in self._replicas if replica.engine is not None))

    @property
    def alive(self) -> int:
        """How many replicas live."""
        return sum(replica.engine is not None for replica in self._replicas)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request.

        A request whose replica dies before anything came goes on to another one.

        Raises:
            ReplicaDied: The replica ended in the middle; others live.
            EngineDied: The last replica ended.
        """
        while True:
            replica, engine = await self._chosen(_home(request))
            begun = False
            replica.running += 1
            try:
                async with aclosing(engine.stream(request)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except EngineDied as error:
                self._lost(replica, engine, error)
                if begun and self.alive:
                    raise ReplicaDied(error.message, hint=error.hint) from error
                if begun or not self.alive:
                    raise
            finally:
                replica.running -= 1

    def resumable(self, request: CompletionRequest) -> bool:
        """Return whether this request may be stopped and go on later."""
        return self._resumable(request)

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Compute, or restore, what every replica keeps for this prefix."""
        await self._all(lambda engine: engine.prepare(prefix))

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the prompt that the model's own chat template makes."""
        return await self._any(lambda engine: engine.render(messages, tools))

    async def count(self, request: CompletionRequest) -> int:
        """Return the tokens of the request's prompt."""
        return await self._any(lambda engine: engine.count(request))

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings."""
        return await self._any(lambda engine: engine.embed(texts))

    async def footprint(self) -> Footprint:
        """Return the bytes that all replicas take."""
        found = await self._all(lambda engine: engine.footprint())
        return Footprint(
            weights=sum(one.weights for one in found),
            cache=sum(one.cache for one in found),
            workspace=sum(one.workspace for one in found),
        )

    async def park(self) -> int:
        """Move the weights of every replica to its host's memory."""
        return sum(await self._all(lambda engine: engine.park()))

    async def unpark(self) -> None:
        """Move them back."""
        await self._all(lambda engine: engine.unpark())

    async def close(self) -> None:
        """Close every replica, and restart none."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            for replica in self._replicas:
                if replica.restart is not None:
                    replica.restart.cancel()
                    await asyncio.wait({replica.restart})
                engine, replica.engine = replica.engine, None
                if engine is not None:
                    await engine.close()

    async def _chosen(self, home: tuple[str, ...]) -> tuple[_Replica, Engine]:
        if not self.alive and not self._closed:
            await self._changed.wait()
        if self._closed:
            raise ModelError(f"The model {self.name} was unloaded.", hint="Ask again to load it.")
        living = [(replica, replica.engine) for replica in self._replicas if replica.engine is not None]
        if not living:
            raise EngineDied(f"No replica of {self.name} runs: {self._problem}.", hint="Ask again.")
        chosen = min(living, key=lambda one: one[0].running)
        known = self._homes.get(home)
        for replica, engine in living:
            if replica is known and replica.running < max(engine.slots, chosen[0].running + 1):
                chosen = (replica, engine)
        if home:
            self._homes[home] = chosen[0]
            self._homes.move_to_end(home)
        if len(self._homes) > _REMEMBERED:
            self._homes.popitem(last=False)
        return chosen

    async def _any(self, work: Callable[[Engine], Awaitable[T]]) -> T:
        while True:
            replica, engine = await self._chosen(())
            try:
                return await work(engine)
            except EngineDied as error:
                self._lost(replica, engine, error)
                if not self.alive:
                    raise

    async def _all(self, work: Callable[[Engine], Awaitable[T]]) -> list[T]:
        found: list[T] = []
        for replica in self._replicas:
            engine = replica.engine
            if engine is not None:
                try:
                    found.append(await work(engine))
                except EngineDied as error:
                    self._lost(replica, engine, error)
        return found

    def _lost(self, replica: _Replica, engine: Engine, error: EngineDied) -> None:
        if replica.engine is not engine:
            return
        replica.engine = None
        self._problem = error.message.rstrip(".")
        if not self.alive:
            self._changed = anyio.Event()
        if not self._closed:
            replica.restart = asyncio.create_task(self._restart(replica, engine))

    async def _restart(self, replica: _Replica, dead: Engine) -> None:
        with suppress(LLMasOSError):
            await dead.close()
        pause = _FIRST_PAUSE
        while replica.engine is None:
            try:
                replica.engine = await self._spawn()
            except LLMasOSError as error:
                self._problem = error.message.rstrip(".")
                self._changed.set()
                await anyio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        self._changed.set()


def replicating(loader: Loader, place: Callable[[LoadPlan], Place], counts: Mapping[str, int]) -> Loader:
    """Return a loader that loads the models which have replicas as replicas elsewhere, and others as before.

    Args:
        loader: Loads an engine, here and there.
        place: Returns where an engine of a plan is placed.
        counts: Replicas by model.
    """

    async def load(plan: LoadPlan) -> Engine:
        count = counts.get(plan.name, 0)
        if not count:
            return await loader(plan)
        # A worker sees only the GPUs that it was given.
        device = "cuda:0" if plan.device.startswith("cuda") else plan.device
        there = plan.model_copy(update={"device": device})
        return await Replicas.load(count, partial(PlacedEngine.load, place(plan), loader, there))

    return load


def _home(request: CompletionRequest) -> tuple[str, ...]:
    """Return what requests have in common that are best served by the same replica."""
    if request.session:
        return (request.tenant, request.session)
    begin = request.turns[: max(1, request.prefix)]
    return (request.tenant, "", *(turn.content for turn in begin), request.prompt[:512])
