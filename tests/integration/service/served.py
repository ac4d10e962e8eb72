"""A kernel with engines in processes of their own, behind TCP, its guard and a key."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import openai
import uvicorn

from llmasos.api import KeyRequest
from llmasos.config import Settings
from llmasos.kernel import Kernel
from llmasos.ledger import Filter
from llmasos.models import Catalog, Engine, LoadPlan, Models, ModelSpec
from llmasos.models.catalog.header import format_of
from llmasos.models.engines.process import EngineProcess, load_process
from llmasos.models.scheduler.loop import Scheduler
from llmasos.sandbox import FakeProvider
from llmasos.service.access import Keys, guarded
from llmasos.service.app import make_app
from llmasos.service.connection import Connection
from llmasos.service.drain import Drain
from llmasos.service.server import make_server

CONTEXT = 512


class Processes:
    """Loads engines into processes, and remembers them."""

    def __init__(self) -> None:
        self.engines: dict[str, EngineProcess] = {}
        self.loads: list[str] = []

    async def __call__(self, plan: LoadPlan) -> Engine:
        self.loads.append(plan.name)
        self.engines[plan.name] = await load_process(plan)
        return self.engines[plan.name]


@dataclass
class Served:
    """A kernel that other programs reach.

    Args:
        kernel: The kernel.
        port: Where it listens.
        key: A key for its models.
        models: Its models.
        processes: Their engines.
        server: What listens.
        keys: The keys.
        drain: Counts the calls that are under way.
    """

    kernel: Kernel
    port: int
    key: str
    models: tuple[str, ...]
    processes: Processes
    server: uvicorn.Server
    keys: Keys
    drain: Drain
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"Authorization": f"Bearer {self.key}"}

    @property
    def scheduler(self) -> Scheduler:
        """What the models are shared by."""
        return self.kernel.models._residents._running

    def client(self) -> openai.AsyncOpenAI:
        """Return OpenAI's client, which tries once."""
        return openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{self.port}/v1", api_key=self.key, max_retries=0
        )

    def http(self) -> httpx2.AsyncClient:
        """Return a plain client."""
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=self.headers, timeout=60)

    async def records(self) -> list[dict[str, Any]]:
        """Return what was recorded of calls, oldest first."""
        found = await self.kernel.ledger.records(Filter(kinds=("model",)), limit=100_000, bodies=True)
        return [record.body or {} for record in found]


def named(name: str, weights: Path) -> ModelSpec:
    """Return a model under a name."""
    return ModelSpec(
        name=name, title=name, path=weights, format=format_of(weights), profile="native", context=CONTEXT
    )


@asynccontextmanager
async def served(base: Path, *specs: ModelSpec, slots: int = 2) -> AsyncIterator[Served]:
    """Run a kernel with some models behind TCP."""
    settings = Settings.model_validate(
        {
            "data_dir": base / "data",
            "cache_dir": base / "cache",
            "runtime_dir": base,
            "sandbox_pool": 0,
            "model": specs[0].name,
            "model_threads": 1,
            "models": {"slots": slots},
            # What is proved elsewhere is not worth a transaction for each call here.
            "ledger": {"mode": "merkle"},
            "service": {"body_mb": 1},
        }
    )
    processes = Processes()
    models = Models(settings, loader=processes, catalog=Catalog(specs))
    async with Kernel(settings, models=models, provider=FakeProvider()) as kernel:
        keys, drain = Keys(kernel.store, kernel.ledger, {}), Drain(0)
        app = guarded(make_app(kernel, lambda: None, keys=keys, drain=drain), keys, names=())
        server = make_server(app, http=Connection, proxy_headers=False, server_header=False)
        key = (await keys.create(KeyRequest(name="a program", scopes=("models",)))).secret
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.serve, [listener])
                names = tuple(spec.name for spec in specs)
                yield Served(kernel, port, key, names, processes, server, keys, drain)
                server.should_exit = True
