"""The contract of the engine port, over a model that others share."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.port import ContextExceeded, Engine, LoadPlan
from llmasos.models.scheduler.loop import Scheduler
from llmasos.models.scheduler.scheduled import ScheduledEngine
from llmasos.models.scheduler.types import Card, Client, Refused, Rules
from tests.integration.models.contract import CONTEXT, SLOTS, EngineContract, Load, asking, reply_of

pytestmark = pytest.mark.anyio


class TestScheduled(EngineContract):
    """One model of a scheduler as an engine; what is kept of its replies is kept for the scheduler alone."""

    resumes = False

    @pytest.fixture
    async def loaded(self, tmp_path: Path) -> AsyncGenerator[Engine]:
        async def load(plan: LoadPlan) -> Engine:
            return CountingEngine(name=plan.name, context=plan.context, slots=plan.slots)

        async with Scheduler(Rules(), [SimDevice(1)], load) as scheduler:
            plan = LoadPlan(name="a", path=tmp_path, cache_dir=tmp_path, context=CONTEXT, slots=SLOTS)
            scheduler.register(Card("a", "sim", 0, context=CONTEXT, slots=SLOTS), plan)
            yield ScheduledEngine(scheduler, "a", Client(session="s"))

    @pytest.fixture
    def load(self, loaded: Engine) -> Load:
        async def same() -> Engine:
            return loaded

        return same

    @pytest.fixture
    def constrained(self) -> bool:
        return False

    async def test_what_does_not_fit_is_refused(self, loaded: Engine) -> None:
        with pytest.raises(ContextExceeded):
            await reply_of(loaded, asking("word " * 600))
        with pytest.raises(Refused) as caught:
            await reply_of(loaded, asking(max_tokens=10**12))
        assert caught.value.status == 400

    async def test_a_closed_engine_says_so(self, load: Load) -> None:
        # It is closed for others only when the scheduler is.
        engine = await load()
        await engine.close()
        assert (await reply_of(engine, asking())).reason == "length"
