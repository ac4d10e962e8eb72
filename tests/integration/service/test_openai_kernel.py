"""The API over a real kernel: its scheduler, its database and its chain; only the engine is scripted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from llmasos.config import Settings
from llmasos.kernel import Kernel
from llmasos.ledger import Filter
from llmasos.models import Engine, FakeEngine, Models
from llmasos.models.engines.port import LoadPlan
from llmasos.sandbox import FakeProvider
from llmasos.service.openai import openai_routes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

MODEL = "qwen2.5-coder-1.5b"


@asynccontextmanager
async def served(base: Path, replies: Sequence[str]) -> AsyncIterator[tuple[Kernel, httpx2.AsyncClient]]:
    """A kernel on a folder, and a client of the API over it."""
    settings = Settings(data_dir=base / "data", runtime_dir=base, sandbox_pool=0, model=MODEL)

    async def load(plan: LoadPlan) -> Engine:
        return FakeEngine(replies, name=MODEL)

    async with Kernel(settings, models=Models(settings, loader=load), provider=FakeProvider()) as kernel:
        transport = httpx2.ASGITransport(Starlette(routes=openai_routes(kernel)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://llmasos.example.org") as client:
            yield kernel, client


async def test_calls_go_through_the_scheduler_and_are_proved(tmp_path: Path) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    async with served(tmp_path, ["hello", "streamed", "kept"]) as (kernel, client):
        assert MODEL in [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
        made = (await client.post("/v1/chat/completions", json=body)).json()
        assert made["choices"][0]["message"]["content"] == "hello"
        streamed = (await client.post("/v1/chat/completions", json={**body, "stream": True})).text
        assert streamed.endswith("data: [DONE]\n\n") and '"finish_reason":"stop"' in streamed
        kept = (await client.post("/v1/responses", json={"model": MODEL, "input": "hi"})).json()
        assert (await client.post("/v1/responses", json={"model": "other", "input": "hi"})).status_code == 404
        records = await kernel.ledger.records(Filter(session="api:local"), bodies=True)
        assert [(record.kind, (record.body or {})["operation"]) for record in records] == [
            ("model", "chat.completions"),
            ("model", "chat.completions"),
            ("model", "responses"),
        ]
        assert all((record.body or {})["model"] == MODEL for record in records)
        assert await kernel.ledger.flush(60)
        verdict = await kernel.ledger.verify()
        assert verdict.ok, verdict
    # Another kernel on the same folder goes on with what was said.
    async with served(tmp_path, ["more"]) as (_, client):
        assert (await client.get(f"/v1/responses/{kept['id']}")).json() == kept
        follow = {"model": MODEL, "input": "and?", "previous_response_id": kept["id"]}
        assert (await client.post("/v1/responses", json=follow)).json()["output"][0]["content"][0][
            "text"
        ] == "more"
