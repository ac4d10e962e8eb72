"""Keys on a database of their own, with clocks that a test turns."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from llmasos.api import KeyCreated, KeyRequest
from llmasos.ledger import MemoryLedger
from llmasos.service.access import Keys
from llmasos.store import Store

PRICES = {"small": (1.0, 4.0), "large": (10.0, 40.0)}


@dataclass
class Desk:
    """Where keys are made, and the time there."""

    store: Store
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    time: datetime = datetime(2026, 11, 25, 12, tzinfo=UTC)
    prices: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(PRICES))

    def __post_init__(self) -> None:
        self.keys = self.reopened()

    def reopened(self) -> Keys:
        """Return the keys as a kernel finds them that starts now."""
        return Keys(self.store, self.ledger, self.prices, clock=self.clock, now=lambda: self.time)

    def clock(self) -> float:
        return self.time.timestamp()

    def pass_time(self, **duration: float) -> None:
        self.time += timedelta(**duration)

    async def make(self, **options: object) -> KeyCreated:
        return await self.keys.create(KeyRequest.model_validate({"name": "a program", **options}))


@pytest.fixture
def store(schema: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(schema, tmp_path / "llmasos.db")
    store = Store(f"sqlite:///{tmp_path / 'llmasos.db'}")
    yield store
    store.close()


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def caller(
    app: ASGIApp, secret: str = "", host: str = "127.0.0.1", address: str = "192.0.2.7"
) -> httpx2.AsyncClient:
    """Return a client that calls an application with a key, as if over TCP."""
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    transport = httpx2.ASGITransport(app=app, client=(address, 1234))
    return httpx2.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)
