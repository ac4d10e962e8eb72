"""What all calls have in common: errors, headers, records, hanging up, slow readers, budgets."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio
import pytest
from starlette.types import Message

from llmasos.errors import LedgerError, ModelError
from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import ChatDelta
from llmasos.models.engines.port import ContextExceeded, EngineDied, InvalidRequest, TokenUsage
from llmasos.models.scheduler.types import Client, Refused
from tests.service.openai.conftest import FakeAccess, MakeService, PartChat, Service, asked, scope

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"
DONE = ChatDelta(finish_reason="stop", usage=TokenUsage(input=3, cached=1, output=2))


async def talk(
    it: Service, body: object, send: Callable[[Message], Awaitable[None]], gone: anyio.Event, path: str = PATH
) -> None:
    """Call with a `send` of one's own, and hang up at an event."""
    came = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])

    async def receive() -> Message:
        if (message := next(came, None)) is not None:
            return cast(Message, message)
        await gone.wait()
        return {"type": "http.disconnect"}

    await it.app(scope("POST", path, {}), receive, send)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ContextExceeded("Too long."), 400, "invalid_request_error", "context_length_exceeded"),
        (InvalidRequest("Bad schema."), 400, "invalid_request_error", None),
        (Refused("Never.", status=400), 400, "invalid_request_error", None),
        (Refused("Wait.", status=429, retry_after=1.2), 429, "rate_limit_error", "rate_limit_exceeded"),
        (Refused("Full.", status=503, retry_after=5), 503, "server_error", "overloaded"),
        (Refused("Late.", status=504), 504, "server_error", "deadline_exceeded"),
        (EngineDied("It died."), 503, "server_error", "model_unavailable"),
        (ModelError("No file."), 503, "server_error", "model_unavailable"),
        (ZeroDivisionError("secret"), 500, "server_error", "internal"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("n", [1, 2])
async def test_what_fails_before_the_reply_has_a_status(
    service: MakeService, error: Exception, status: int, kind: str, code: str | None, stream: bool, n: int
) -> None:
    answer = await service(PartChat([error])).post(PATH, asked(stream=stream, n=n))
    assert (answer.status, answer.error["type"], answer.error["code"]) == (status, kind, code)
    assert "secret" not in answer.error["message"]
    wait = {429: "2", 503: "5"}.get(status) if isinstance(error, Refused) else None
    assert answer.headers.get("retry-after") == wait


@pytest.mark.parametrize("n", [1, 2])
async def test_a_stream_that_fails_ends_with_an_error_object(service: MakeService, n: int) -> None:
    it = service(PartChat([ChatDelta(text="a"), EngineDied("It died.")]))
    answer = await it.post(PATH, asked(stream=True, n=n))
    assert answer.status == 200 and "[DONE]" not in answer.data
    assert answer.data[-1]["error"]["message"] == "It died."
    assert not any("error" in chunk for chunk in answer.data[:-1])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_without_an_end_is_an_error(service: MakeService, stream: bool) -> None:
    answer = await service(PartChat([ChatDelta(text="a")])).post(PATH, asked(stream=stream))
    error = answer.data[-1]["error"] if stream else answer.error
    assert error["message"] == "The reply of fake broke off. Ask again."


async def test_a_call_has_an_id_which_may_be_its_callers_own(service: MakeService) -> None:
    it = service("a", "b", "c")
    own = await it.post(PATH, asked(), x_request_id="mine-1")
    assert own.headers["x-request-id"] == "mine-1" and own.headers["openai-processing-ms"].isdecimal()
    made = (await it.post(PATH, asked())).headers["x-request-id"]
    assert made.startswith("req_")
    for bad in ("x" * 129, "a\r\nb: c", "é", ""):
        answer = await it.post(PATH, b"", x_request_id=bad)
        assert answer.headers["x-request-id"].startswith("req_")
    assert [entry.body["request"] for entry in it.ledger.entries] == ["mine-1", made]


async def test_headers_say_who_asks_and_how_urgently(service: MakeService) -> None:
    it = service("a", "b")
    await it.post(PATH, asked(), llmasos_priority="batch", llmasos_session="s1", llmasos_deadline="5.5")
    await it.post(PATH, asked())
    assert it.models.clients == [
        Client(session="api:local:s1", band="batch", seconds=5.5),
        Client(session="api:local", band="normal"),
    ]


@pytest.mark.parametrize(
    ("wanted", "most", "band"), [("interactive", "normal", "normal"), ("batch", "normal", "batch")]
)
async def test_a_key_limits_the_priority(service: MakeService, wanted: str, most: Any, band: str) -> None:
    it = service("a")
    it.access = FakeAccess(band=most)
    await it.post(PATH, asked(), llmasos_priority=wanted)
    assert it.models.clients == [Client(session="api:k1", band=band, tenant="t1")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("llmasos_priority", "urgent"),
        ("llmasos_session", "../x"),
        ("llmasos_session", "x" * 101),
        *(("llmasos_deadline", value) for value in ("0", "-1", "nan", "inf", "x", "1e9")),
    ],
)
async def test_headers_with_wrong_values_are_refused(service: MakeService, header: str, value: str) -> None:
    answer = await service("a").post(PATH, asked(), **{header: value})
    assert answer.status == 400 and answer.error["param"] == header.replace("_", "-")


async def test_models_that_are_not_there_or_not_allowed(service: MakeService) -> None:
    it = service("a")
    missing = await it.post(PATH, asked(model="/etc/passwd"))
    assert missing.status == 404 and missing.error["code"] == "model_not_found"
    it.access = FakeAccess(models=())
    barred = await it.post(PATH, asked())
    assert barred.status == 403 and barred.error["type"] == "permission_error"
    assert it.models.clients == []


async def test_every_call_is_recorded(service: MakeService) -> None:
    it = service("a", "bb", ModelError("No."))
    it.access = FakeAccess("k7")
    await it.post(PATH, asked(), llmasos_session="s1")
    await it.post("/v1/completions", {"model": "fake", "prompt": "x"})
    await it.post("/v1/embeddings", {"model": "fake", "input": "x"})
    await it.post("/v1/responses", {"model": "fake", "input": "x"})
    bodies = [entry.body for entry in it.ledger.entries]
    assert {(entry.session, entry.kind) for entry in it.ledger.entries} == {("api:k7", "model")}
    assert [(body["operation"], body["status"]) for body in bodies] == [
        ("chat.completions", "ok"),
        ("completions", "ok"),
        ("embeddings", "ok"),
        ("responses", "failed"),
    ]
    assert bodies[0]["client_session"] == "s1" and "client_session" not in bodies[1]
    assert all(body["model"] == "fake" and body["weights_sha256"] == "ab" * 32 for body in bodies)
    assert (bodies[0]["input_tokens"], bodies[0]["output_tokens"]) == (2, 1)
    assert len(bodies[0]["messages_sha256"]) == len(bodies[0]["reply_sha256"]) == 64
    assert bodies[3]["error"] == "ModelError" and "reply_sha256" not in bodies[3]
    assert it.access.counted == [("fake", 2, 1), ("fake", 1, 1), ("fake", 1, 0)]


async def test_what_cannot_be_recorded_is_not_replied(service: MakeService) -> None:
    it = service("secret", "secret")
    it.ledger.refuse = LedgerError("The disk is full.", hint="Free space.")
    answer = await it.post(PATH, asked())
    assert answer.status == 503 and answer.error["message"] == "The disk is full. Free space."
    assert b"secret" not in answer.content
    streamed = await it.post(PATH, asked(stream=True))
    assert "[DONE]" not in streamed.data and streamed.data[-1]["error"]["code"] == "ledger_unavailable"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("n", [1, 3])
async def test_hanging_up_stops_the_model(service: MakeService, stream: bool, n: int) -> None:
    chat = PartChat([ChatDelta(text="abcdef"), anyio.sleep_forever, DONE])
    it = service(chat)
    it.access = FakeAccess()
    gone = anyio.Event()

    async def send(_message: Message) -> None:
        await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk, it, asked(stream=stream, n=n), send, gone)
        await anyio.wait_all_tasks_blocked()
        assert chat.stopped == 0
        gone.set()
    assert chat.stopped == n
    assert [entry.body["status"] for entry in it.ledger.entries] == ["cancelled"] * n
    # Who hangs up pays for what was written.
    assert len(it.access.counted) == n and all(used[2] > 0 for used in it.access.counted)


async def test_a_slow_reader_is_waited_for(service: MakeService) -> None:
    chat = PartChat([ChatDelta(text="x")] * 1000 + [DONE])
    it = service(chat)
    sent, more = [], anyio.Semaphore(0)

    async def send(message: Message) -> None:
        await more.acquire()
        sent.append(message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk, it, asked(stream=True), send, anyio.Event())
        for _ in range(5):
            more.release()
        await anyio.wait_all_tasks_blocked()
        assert len(sent) == 5 and chat.given <= 5
        for _ in range(2000):
            more.release()
    assert chat.given == 1001 and sent[-1]["body"].endswith(b"data: [DONE]\n\n")


async def test_the_deadline_ends_a_reply(service: MakeService) -> None:
    chat = PartChat([ChatDelta(text="a"), anyio.sleep_forever])
    it = service(chat)
    answer = await it.post(PATH, asked(), llmasos_deadline="0.01")
    assert answer.status == 504 and answer.error["code"] == "deadline_exceeded" and chat.stopped == 1
    it = service(PartChat([ChatDelta(text="a"), TimeoutError()]))
    streamed = await it.post(PATH, asked(stream=True))
    assert streamed.data[-1]["error"]["code"] == "deadline_exceeded"


async def test_a_body_has_a_largest_size(service: MakeService) -> None:
    answer = await service("a").post(PATH, b" " * (2**20 + 1))
    assert answer.status == 413 and answer.error["code"] == "request_too_large"


async def test_hanging_up_within_the_body_is_no_error(service: MakeService) -> None:
    it = service("a")
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return cast(Message, next(messages))

    async def send(_message: Message) -> None:
        raise AssertionError("nobody is there")

    await it.app(scope("POST", PATH, {}), receive, send)
    assert it.ledger.entries == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, asked(messages=[{"role": "user", "content": "x" * 300_000}])),
        ("/v1/completions", {"model": "fake", "prompt": ["x", "x" * 300_000]}),
        ("/v1/embeddings", {"model": "fake", "input": ["x", "x" * 300_000]}),
        ("/v1/responses", {"model": "fake", "input": "x" * 300_000}),
    ],
)
@pytest.mark.parametrize("context", [2000, None])
async def test_what_can_never_fit_is_not_even_counted(
    service: MakeService, path: str, body: dict[str, Any], context: int | None
) -> None:
    chat = FakeChat(["x"], context=context)
    answer = await service(chat).post(path, body)
    assert answer.status == 400 and answer.error["code"] == "context_length_exceeded"
    assert (chat.requests, chat.completions, chat.embedded) == ([], [], [])


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": "x" * 256_001}}}]},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "f", "schema": {"a": "x" * 256_001}},
            }
        },
    ],
)
async def test_schemas_have_a_largest_size(service: MakeService, fields: dict[str, Any]) -> None:
    answer = await service("x").post(PATH, asked(**fields))
    assert answer.status == 400 and "schemas have more than" in answer.error["message"]
