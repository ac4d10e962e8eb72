"""Suggestions over HTTP: what the model is told, and whose call it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from llmasos.config import Settings
from llmasos.errors import LLMasOSError
from llmasos.kernel import Kernel
from llmasos.ledger import MemoryLedger
from llmasos.models.chat.fake import FakeChat, Reply
from llmasos.secrets import Redactor
from llmasos.service.refusals import refused
from llmasos.service.suggest import suggest_routes
from tests.service.openai.conftest import FakeAccess, FakeModels

pytestmark = pytest.mark.anyio

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2


class Service:
    """The routes over a scripted chat."""

    def __init__(self, folder: Path, *replies: Reply) -> None:
        self.chat = FakeChat(replies)
        self.models = FakeModels([self.chat])
        self.ledger = MemoryLedger()
        self.access: FakeAccess | None = None
        kernel = SimpleNamespace(
            models=self.models,
            ledger=self.ledger,
            settings=Settings(data_dir=folder),
            redactor=Redactor(),
        )
        app = Starlette(
            routes=suggest_routes(cast(Kernel, kernel)),
            exception_handlers={
                LLMasOSError: lambda request, error: refused(request.url.path, cast(LLMasOSError, error))
            },
        )

        async def with_access(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("state", {})["access"] = self.access
            await app(scope, receive, send)

        self.app: ASGIApp = with_access

    async def ask(self, **body: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://kernel") as client:
            return await client.post("/v1/suggestions", json={"sentence": "list files", **body})


@pytest.fixture
def service(tmp_path: Path) -> Callable[..., Service]:
    return lambda *replies: Service(tmp_path, *replies)


async def test_one_call_makes_a_line_and_is_recorded(service: Callable[..., Service]) -> None:
    it = service("```sh\nrm notes.txt\n```")
    answer = await it.ask()
    assert answer.json() == {
        "command": "rm notes.txt",
        "model": "fake",
        "effects": ["deletes or moves notes.txt"],
    }
    [request] = it.chat.requests
    assert request.messages[-1].content == "Shell: bash on Linux\nSentence: list files"
    assert it.models.clients[0].band == "interactive"
    bodies = [entry.body for entry in it.ledger.entries if entry.body is not None]
    assert any(body.get("operation") == "suggest" for body in bodies)


async def test_secrets_do_not_reach_the_model(service: Callable[..., Service]) -> None:
    it = service("ls")
    await it.ask(sentence=f"push with {TOKEN}", last_command=f"curl -H 'Authorization: {TOKEN}'")
    asked = it.chat.requests[0].messages[-1].content
    assert TOKEN not in asked and asked.count("[redacted:github-token:") == 2


async def test_passwords_of_the_last_command_do_not_reach_the_model(service: Callable[..., Service]) -> None:
    it = service("ls")
    await it.ask(sentence="fix it", last_command="mysql -u root -phunter22 db", exit_code=1)
    asked = it.chat.requests[0].messages[-1].content
    assert "hunter22" not in asked and "mysql -u root -p[redacted] db" in asked


async def test_a_keys_call_is_as_urgent_as_its_key_and_counted(service: Callable[..., Service]) -> None:
    it = service("ls")
    it.access = FakeAccess(band="batch")
    assert (await it.ask()).status_code == 200
    assert it.models.clients[0].band == "batch" and it.access.counted
    it.access = FakeAccess(models=())
    assert (await it.ask()).status_code == 403


@pytest.mark.parametrize(
    ("reply", "status", "said"),
    [
        ("one\ntwo", 422, "several lines"),
        (LLMasOSError("The model is away.", hint="Wait."), 500, "is away"),
        ("echo " + "x" * 4000, 422, "was cut off"),
    ],
)
async def test_what_cannot_be_taken_is_told(
    service: Callable[..., Service], reply: Reply, status: int, said: str
) -> None:
    answer = await service(reply).ask()
    assert answer.status_code == status and said in answer.json()["message"] and answer.json()["hint"]


async def test_a_model_that_is_not_there_is_told(service: Callable[..., Service]) -> None:
    answer = await service("ls").ask(model="nothing")
    assert answer.status_code == 404 and "nothing" in answer.json()["message"]
