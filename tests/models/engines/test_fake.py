"""The engines without a model, under the contract that all engines have."""

from collections.abc import AsyncGenerator

import pytest

from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.port import Engine
from tests.integration.models.contract import CONTEXT, SLOTS, EngineContract, Load, asking, reply_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def load() -> Load:
    async def new() -> Engine:
        return CountingEngine(context=CONTEXT, slots=SLOTS)

    return new


@pytest.fixture
async def loaded(load: Load) -> AsyncGenerator[Engine]:
    engine = await load()
    yield engine
    await engine.close()


@pytest.fixture
def constrained() -> bool:
    return False


class TestCounting(EngineContract):
    """The engine that counts."""


async def test_it_counts() -> None:
    engine = CountingEngine(length=26)
    reply = await reply_of(engine, asking(max_tokens=1000))
    assert (reply.text, reply.reason) == ("1 2 3 4 5 6 7 8 9 10 11 12", "stop")
