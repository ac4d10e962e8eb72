"""Replicas that die and come back, on engines of this process and on a cluster that is this process."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from llmasos.cluster import LocalCluster
from llmasos.errors import ModelError
from llmasos.models.engines.fake import CountingEngine, FakeEngine
from llmasos.models.engines.placed import PlacedEngine
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    EngineDied,
    Footprint,
    InvalidRequest,
    LoadPlan,
    ReplicaDied,
    Turn,
)
from llmasos.models.engines.replicas import Replicas, replicating

pytestmark = pytest.mark.anyio


class Mortal(CountingEngine):
    """Counts until it is killed."""

    def __init__(self, slots: int = 2) -> None:
        super().__init__(slots=slots)
        self.dead = False

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        self._check_life()
        async with aclosing(super().stream(request)) as chunks:
            async for chunk in chunks:
                self._check_life()
                yield chunk

    async def count(self, request: CompletionRequest) -> int:
        self._check_life()
        return await super().count(request)

    async def footprint(self) -> Footprint:
        return Footprint(weights=5, cache=2)

    def _check_life(self) -> None:
        if self.dead:
            raise EngineDied("It was killed.")


def asked(session: str = "", text: str = "1 2 3", **given: object) -> CompletionRequest:
    return CompletionRequest.model_validate({"prompt": text, "session": session, "max_tokens": 40, **given})


async def none() -> Mortal:
    raise ModelError("There is no room.")


@asynccontextmanager
async def streams(engine: Replicas, *sessions: str) -> AsyncGenerator[list[AsyncGenerator[Chunk]]]:
    async with AsyncExitStack() as stack:
        opened = [engine.stream(asked(session)) for session in sessions]
        yield [await stack.enter_async_context(aclosing(stream)) for stream in opened]


async def text(engine: Replicas, request: CompletionRequest) -> str:
    return "".join([chunk.text async for chunk in engine.stream(request)])


async def test_replicas_add_up() -> None:
    one, two = Mortal(), Mortal(3)
    replicas = Replicas([one, two], spawn=none)
    assert (replicas.name, replicas.slots, replicas.alive) == ("counting", 5, 2)
    assert (await replicas.footprint()).total == 14
    prefix = (Turn(role="system", content="x"),)
    await replicas.prepare(prefix)
    assert one.prepared == two.prepared == [prefix]
    await replicas.park()
    assert one.parked and two.parked
    await replicas.unpark()
    assert not one.parked and not two.parked
    assert await replicas.count(asked(text="abc")) == 3
    assert (await replicas.embed(["a"])).vectors
    assert await replicas.render([{"role": "user", "content": "a"}])
    assert replicas.resumable(asked()) == one.resumable(asked())
    await replicas.close()
    assert one.closed and two.closed


async def test_requests_spread_and_sessions_stay() -> None:
    one, two = Mortal(), Mortal()
    replicas = Replicas([one, two], spawn=none)
    async with (
        aclosing(replicas.stream(asked("a"))) as first,
        aclosing(replicas.stream(asked("b"))) as second,
    ):
        await anext(first)
        await anext(second)
        assert (len(one.requests), len(two.requests)) == (1, 1)
    for _ in range(3):
        await text(replicas, asked("b"))
    assert (len(one.requests), len(two.requests)) == (1, 4)
    await replicas.close()


async def test_requests_that_begin_alike_stay_together_within_a_tenant() -> None:
    one, two = Mortal(), Mortal()
    replicas = Replicas([one, two], spawn=none)
    async with aclosing(replicas.stream(asked("other"))) as busy:
        await anext(busy)
        await text(replicas, asked(text="1 2", tenant="t"))
        assert len(two.requests) == 1
    await text(replicas, asked(text="1 2", tenant="t"))
    assert len(two.requests) == 2
    await text(replicas, asked(text="1 2", tenant="u"))
    assert len(one.requests) == 2
    await replicas.close()


async def test_a_full_home_is_left() -> None:
    one, two = Mortal(1), Mortal(1)
    replicas = Replicas([one, two], spawn=none)
    async with aclosing(replicas.stream(asked("a"))) as first:
        await anext(first)
        await text(replicas, asked("a"))
    assert (len(one.requests), len(two.requests)) == (1, 1)
    await replicas.close()


async def test_one_that_dies_ends_its_streams_only_and_comes_back() -> None:
    one, two, three = Mortal(), Mortal(), Mortal()
    born = anyio.Event()

    async def spawn() -> Mortal:
        born.set()
        return three

    replicas = Replicas([one, two], spawn=spawn)
    whole = await text(replicas, asked("x"))
    async with (
        aclosing(replicas.stream(asked("a"))) as first,
        aclosing(replicas.stream(asked("b"))) as second,
    ):
        await anext(first)
        begun = (await anext(second)).text
        one.dead = True
        with pytest.raises(ReplicaDied, match="killed"):
            await anext(first)
        assert begun + "".join([chunk.text async for chunk in second]) == whole
    await born.wait()
    await anyio.wait_all_tasks_blocked()
    assert one.closed
    assert replicas.alive == 2
    async with (
        aclosing(replicas.stream(asked("c"))) as third,
        aclosing(replicas.stream(asked("d"))) as fourth,
    ):
        await anext(third)
        await anext(fourth)
    assert len(three.requests) == 1
    await replicas.close()


async def test_a_request_that_did_not_begin_goes_on_to_another() -> None:
    one, two = Mortal(), Mortal()
    replicas = Replicas([one, two], spawn=none)
    one.dead = True
    assert (await text(replicas, asked("a"))).startswith("1 2 3")
    assert replicas.alive == 1
    assert await replicas.count(asked()) == 5
    await replicas.close()


async def test_when_all_died_that_is_told_or_waited_for() -> None:
    one, two = Mortal(), Mortal()
    replicas = Replicas([one], spawn=none)
    one.dead = True
    with pytest.raises(EngineDied, match="killed"):
        await text(replicas, asked())
    with pytest.raises(EngineDied, match="There is no room"):
        await text(replicas, asked())
    await replicas.close()
    with pytest.raises(ModelError, match="unloaded"):
        await text(replicas, asked())

    async def spawn() -> Mortal:
        return two

    replicas = Replicas([one], spawn=spawn)
    with pytest.raises(EngineDied, match="killed"):
        await text(replicas, asked())
    assert await text(replicas, asked())
    await replicas.close()


async def test_a_failed_load_leaves_none_behind() -> None:
    made: list[FakeEngine] = []

    async def spawn() -> FakeEngine:
        if len(made) == 2:
            raise ModelError("There is no room.")
        made.append(FakeEngine())
        return made[-1]

    with pytest.raises(ModelError, match="no room"):
        await Replicas.load(3, spawn)
    assert [engine.closed for engine in made] == [True, True]


async def counting(plan: LoadPlan) -> CountingEngine:
    if plan.slots > 8:
        raise ModelError("There is no room.")
    return CountingEngine(name=plan.name, context=plan.context, slots=plan.slots)


def plan(slots: int = 3) -> LoadPlan:
    return LoadPlan(name="c", path=Path("x"), cache_dir=Path("y"), context=512, slots=slots)


async def test_an_engine_is_the_same_elsewhere() -> None:
    cluster = LocalCluster()
    here, there = await counting(plan()), await PlacedEngine.load(cluster.place, counting, plan())
    assert (there.name, there.context, there.slots) == ("c", 512, 3)
    request = asked()
    assert [c async for c in there.stream(request)] == [c async for c in here.stream(request)]
    assert await there.count(request) == await here.count(request)
    assert await there.render([{"role": "user", "content": "a"}])
    assert (await there.embed(["a"])).vectors == (await here.embed(["a"])).vectors
    assert await there.footprint() == await here.footprint()
    assert there.resumable(request) == here.resumable(request)
    assert not there.resumable(asked(json_schema="{}"))
    await there.prepare(())
    await there.park()
    await there.unpark()
    with pytest.raises(InvalidRequest):
        await anext(there.stream(asked(json_schema="{}")))
    with pytest.raises(ModelError, match="no room"):
        await PlacedEngine.load(cluster.place, counting, plan(9))
    await there.close()
    await cluster.close()


async def test_models_with_replicas_are_loaded_elsewhere() -> None:
    cluster = LocalCluster()
    load = replicating(counting, lambda _: cluster.place, {"c": 2})
    replicas = await load(plan())
    assert isinstance(replicas, Replicas)
    assert (replicas.alive, replicas.slots, len(cluster.workers)) == (2, 6, 2)
    assert isinstance(await load(plan().model_copy(update={"name": "d"})), CountingEngine)
    assert len(cluster.workers) == 2
    await replicas.close()


async def test_a_lost_place_is_a_dead_engine() -> None:
    cluster = LocalCluster()
    engine = await PlacedEngine.load(cluster.place, counting, plan())
    stream = engine.stream(asked())
    await anext(stream)
    await cluster.workers[0].kill()
    with pytest.raises(EngineDied, match="killed"):
        await anext(stream)
    with pytest.raises(EngineDied, match="killed"):
        await engine.count(asked())
    await engine.close()
