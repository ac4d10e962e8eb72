"""The engines without a model, under the contract that all engines have."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from llmasos.cluster import LocalCluster
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.placed import PlacedEngine
from llmasos.models.engines.port import Engine, Loader, LoadPlan
from llmasos.models.engines.replicas import Replicas
from tests.integration.models.contract import CONTEXT, SLOTS, EngineContract, Load, asking, reply_of

pytestmark = pytest.mark.anyio


async def counting(plan: LoadPlan) -> Engine:
    return CountingEngine(name=plan.name, context=plan.context, slots=plan.slots)


async def replicas(plan: LoadPlan) -> Engine:
    """Load an engine of each slot, all of them elsewhere."""
    each = plan.model_copy(update={"slots": 1})
    return await Replicas.load(plan.slots, lambda: PlacedEngine.load(LocalCluster().place, counting, each))


LOADERS: dict[str, Loader] = {"counting": counting, "replicas": replicas}


@pytest.fixture(params=LOADERS)
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Load:
    plan = LoadPlan(name="counting", path=tmp_path, cache_dir=tmp_path, context=CONTEXT, slots=SLOTS)
    return lambda: LOADERS[request.param](plan)


@pytest.fixture
async def loaded(load: Load) -> AsyncGenerator[Engine]:
    engine = await load()
    yield engine
    await engine.close()


@pytest.fixture
def constrained() -> bool:
    return False


class TestCounting(EngineContract):
    """The engine that counts, alone and as replicas."""


async def test_it_counts() -> None:
    engine = CountingEngine(length=26)
    reply = await reply_of(engine, asking(max_tokens=1000))
    assert (reply.text, reply.reason) == ("1 2 3 4 5 6 7 8 9 10 11 12", "stop")
