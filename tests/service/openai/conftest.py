"""The OpenAI-compatible API over a scripted chat."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send

from llmasos.config import ModelSettings, ServiceSettings, Settings
from llmasos.kernel import Kernel
from llmasos.ledger import MemoryLedger
from llmasos.models import ModelStatus, Origin
from llmasos.models.chat.fake import FakeChat, Reply
from llmasos.models.chat.port import Chat, ChatDelta, ChatRequest
from llmasos.models.engines.port import Chunk, CompletionRequest, Embeddings
from llmasos.models.scheduler.types import Band, Client
from llmasos.service.body import BodyLimit
from llmasos.service.drain import Drain
from llmasos.service.openai import openai_routes
from llmasos.service.openai.responses.store import ResponseRow
from llmasos.service.refusals import TooLarge, refused
from llmasos.store import Store


class FakeModels:
    """Models that are chats, and the clients that asked for them."""

    def __init__(self, chats: Sequence[Chat]) -> None:
        self.chats = {chat.name: chat for chat in chats}
        self.clients: list[Client] = []
        self.hidden: set[str] = set()
        self.absent = [ModelStatus(name="absent", title="", state="absent")]

    def status(self) -> tuple[ModelStatus, ...]:
        here = [
            ModelStatus(name=name, title="", state="resident")
            for name in self.chats
            if name not in self.hidden
        ]
        return (*here, *self.absent)

    def chat(self, name: str, client: Client) -> Chat:
        self.clients.append(client)
        return self.chats[name]

    async def chat_origin(self, name: str) -> Origin:
        return Origin(model=name, weights_sha256="ab" * 32)


class PartChat(FakeChat):
    """A chat whose replies are given piece by piece, errors among them; it keeps going on for ever."""

    def __init__(self, pieces: Sequence[Any], *, name: str = "fake") -> None:
        super().__init__((), name=name)
        self.pieces = pieces
        self.given = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        self.requests.append(request)
        finished = False
        try:
            for piece in self.pieces:
                self.given += 1
                if isinstance(piece, BaseException):
                    raise piece
                if callable(piece):
                    await piece()
                else:
                    yield piece
            finished = True
        finally:
            self.stopped += not finished

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        self.completions.append(request)
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        raise next(piece for piece in self.pieces if isinstance(piece, Exception))


@dataclass
class FakeAccess:
    """A key with what was counted for it."""

    key_id: str = "k1"
    tenant: str = "t1"
    band: Band = "interactive"
    models: tuple[str, ...] = ("fake",)
    counted: list[tuple[str, int, int]] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    turned_away: list[str] = field(default_factory=list)
    limit: Exception | None = None

    def allows(self, model: str) -> bool:
        return model in self.models

    def reserve(self, tokens: int, calls: int = 1) -> None:
        if self.limit is not None:
            raise self.limit
        self.held.append((tokens, calls))

    async def refused(self, code: str) -> None:
        self.turned_away.append(code)

    async def spent(self, model: str, input_tokens: int, output_tokens: int) -> None:
        self.counted.append((model, input_tokens, output_tokens))


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        assert set(self.json) == {"error"}
        error: dict[str, Any] = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error

    @property
    def data(self) -> list[Any]:
        """The data of events; the last is `[DONE]` when the stream said so."""
        assert self.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = [line[6:] for line in self.content.decode().split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


class Service:
    """The API, with a direct line to it."""

    def __init__(
        self, chats: Sequence[Chat], folder: Path, most: int = 1000, adapters: object = None
    ) -> None:
        self.models = FakeModels(chats)
        self.ledger = MemoryLedger()
        self.store = Store(f"sqlite:///{folder / 'service.db'}")
        self._remembers = False
        self.access: FakeAccess | None = None
        kernel = SimpleNamespace(
            models=self.models,
            ledger=self.ledger,
            store=self.store,
            settings=Settings(
                model_context=2048,
                service=ServiceSettings(responses=most),
                models=ModelSettings.model_validate({"adapters": adapters or {}}),
            ),
            started=datetime(2026, 1, 1, tzinfo=UTC),
        )
        self.drain = Drain(1)
        app = Starlette(
            routes=openai_routes(cast(Kernel, kernel), self.drain),
            middleware=[Middleware(BodyLimit, 2**20)],
            exception_handlers={TooLarge: lambda request, error: refused(request.url.path, error)},
        )

        async def with_access(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("state", {})["access"] = self.access
            await app(scope, receive, send)

        self.app = with_access

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.ask("POST", path, content, **headers)

    def remember(self) -> None:
        """Make the table of responses, which most tests need not wait for."""
        if not self._remembers:
            ResponseRow.metadata.tables["responses"].create(self.store.engine, checkfirst=True)
            self._remembers = True

    async def ask(self, method: str, path: str, content: bytes = b"", **headers: str) -> Answer:
        if path.startswith("/v1/responses"):
            self.remember()
        came = iter([{"type": "http.request", "body": content, "more_body": False}])
        answer = Answer(0, {}, b"")

        async def receive() -> Message:
            message = next(came, None)
            if message is None:
                await anyio.sleep_forever()
            return cast(Message, message)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert not answer.status
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.content += message["body"]

        await self.app(scope(method, path, headers), receive, send)
        return answer


def scope(method: str, path: str, headers: dict[str, str]) -> Scope:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": raw,
        "state": {},
    }


MakeService = Callable[..., Service]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MakeService]:
    made: list[Service] = []

    def make(*replies: Reply | Chat, **options: Any) -> Service:
        chats = [reply for reply in replies if isinstance(reply, FakeChat)]
        scripted = [cast(Reply, reply) for reply in replies if not isinstance(reply, FakeChat)]
        made.append(Service(chats or [FakeChat(scripted)], tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def asked(**fields: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    return {"model": "fake", "messages": [{"role": "user", "content": "hi"}], **fields}
