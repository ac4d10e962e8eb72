"""Replicas of a real model on a private cluster of Ray's."""

import os
import signal
from contextlib import aclosing
from functools import partial
from pathlib import Path

import anyio
import pytest

from benchmarks.weights import smollm_gguf
from llmasos.cluster import RayCluster, Share
from llmasos.models.engines.llama import LlamaEngine
from llmasos.models.engines.placed import PlacedEngine
from llmasos.models.engines.port import CompletionRequest, InvalidRequest, LoadPlan, ReplicaDied, Turn
from llmasos.models.engines.replicas import Replicas

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@pytest.fixture
def plan(tmp_path: Path) -> LoadPlan:
    return LoadPlan(
        name="smollm",
        path=smollm_gguf(),
        fingerprint="smollm",
        cache_dir=tmp_path,
        context=512,
        slots=2,
        threads=1,
    )


async def test_one_replica_dies_and_the_other_goes_on(plan: LoadPlan) -> None:
    cluster = RayCluster(cpus=2)
    place = partial(cluster.place, share=Share(cpus=1))
    spawned: list[PlacedEngine] = []
    again = anyio.Event()

    async def spawn() -> PlacedEngine:
        spawned.append(await PlacedEngine.load(place, LlamaEngine.load, plan))
        if len(spawned) == 3:
            again.set()
        return spawned[-1]

    replicas = await Replicas.load(2, spawn)
    try:
        assert (replicas.name, replicas.slots, replicas.context) == ("smollm", 4, 512)
        turns = (Turn(role="user", content="Count from one to a hundred."),)
        one = CompletionRequest(turns=turns, max_tokens=120, session="one")
        other = CompletionRequest(turns=turns, max_tokens=120, session="other")
        assert await replicas.count(one) > 5
        with pytest.raises(InvalidRequest):
            await anext(replicas.stream(one.model_copy(update={"json_schema": "no schema"})))

        async with aclosing(replicas.stream(one)) as dying, aclosing(replicas.stream(other)) as living:
            await anext(dying)
            await anext(living)
            homes = {key[-1]: replica for key, replica in replicas._homes.items()}
            assert homes["one"] is not homes["other"]
            engine = homes["one"].engine
            assert isinstance(engine, PlacedEngine)
            os.kill(engine.host.pid, signal.SIGKILL)
            with pytest.raises(ReplicaDied, match="was lost"):
                async for _ in dying:
                    pass
            rest = [chunk async for chunk in living]
            assert rest[-1].finish_reason in ("stop", "length")
        with anyio.fail_after(60):
            await again.wait()
        assert replicas.alive == 2
        async with aclosing(replicas.stream(one)) as stream:
            assert (await anext(stream)) is not None
    finally:
        await replicas.close()
        await cluster.close()
