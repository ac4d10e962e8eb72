"""A session on fakes: a scripted model, a sandbox without walls, a ledger in memory."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from llmasos.agent import Services, Session, Sessions
from llmasos.api import TurnRequest
from llmasos.config import Settings
from llmasos.events import Event, EventBase, TurnFinished
from llmasos.ledger import MemoryLedger
from llmasos.models import Engine, FakeEngine, Models
from llmasos.models.engines.port import LoadPlan
from llmasos.sandbox import FakeProvider
from llmasos.store import Store
from llmasos.tools import Registry, Tool, builtin_tools

E = TypeVar("E", bound=EventBase)


@dataclass
class Stage:
    """Everything a test of a session looks at."""

    sessions: Sessions
    folder: Path
    engine: FakeEngine
    ledger: MemoryLedger
    store: Store
    provider: FakeProvider
    models: Models
    settings: Settings
    events: list[Event] = field(default_factory=list)

    async def session(self) -> Session:
        return await self.sessions.create(self.folder)

    async def turn(self, session: Session, text: str, **options: object) -> TurnFinished:
        """Run a turn with nobody to ask, keep its events, and return the last one."""
        accepted = await session.start(
            TurnRequest.model_validate({"text": text, "approve": "deny", **options})
        )
        async with session.stream.follow(accepted.after) as events:
            async for event in events:
                self.events.append(event)
                if isinstance(event, TurnFinished):
                    return event
        raise AssertionError("the stream ended before the turn")

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


MakeStage = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def stage(tmp_path: Path, folder: Path, schema: Path) -> MakeStage:
    """Return a function that sets the stage for scripted replies."""

    @asynccontextmanager
    async def make(
        *replies: str | Exception,
        tools: tuple[Tool, ...] = (),
        engine: FakeEngine | None = None,
        ledger: MemoryLedger | None = None,
        **settings: object,
    ) -> AsyncIterator[Stage]:
        scripted = engine or FakeEngine(replies)

        async def load(plan: LoadPlan) -> Engine:
            return scripted

        configuration = Settings.model_validate({"data_dir": tmp_path / "data", **settings})
        configuration.data_dir.mkdir(exist_ok=True)
        database = configuration.data_dir / "llmasos.db"
        if not database.exists():
            shutil.copy(schema, database)
        store = Store(configuration.database)
        ledger = ledger or MemoryLedger()
        provider = FakeProvider()
        async with Models(configuration, loader=load) as models, anyio.create_task_group() as tasks:
            services = Services(
                settings=configuration,
                store=store,
                models=models,
                provider=provider,
                ledger=ledger,
                registry=Registry([*builtin_tools(), *tools]),
            )
            sessions = Sessions(services, tasks)
            yield Stage(sessions, folder, scripted, ledger, store, provider, models, configuration)
            await sessions.close()
        store.close()

    return make
