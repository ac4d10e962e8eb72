"""What all calls have in common: errors, headers, records, limits."""

from typing import Any

import anyio
import pytest

from llmasos.errors import LedgerError, ModelError
from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import ChatDelta
from llmasos.models.engines.port import ContextExceeded, EngineDied, InvalidRequest, TokenUsage
from llmasos.models.scheduler.types import Client, Refused
from llmasos.service.refusals import LimitReached, QuotaReached
from tests.service.openai.conftest import FakeAccess, MakeService, PartChat, asked

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"
DONE = ChatDelta(finish_reason="stop", usage=TokenUsage(input=3, cached=1, output=2))


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


async def test_to_wait_means_a_second_at_least(service: MakeService) -> None:
    answer = await service(PartChat([Refused("Wait.", status=429, retry_after=0.0)])).post(PATH, asked())
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("path", "body", "held"),
    [
        (PATH, asked(max_tokens=50, n=3), (51, 3)),
        (PATH, asked(), (1001, 1)),
        (PATH, asked(max_tokens=2**31), (2049, 1)),
        ("/v1/completions", {"model": "fake", "prompt": ["xxxx", "yy"], "n": 2}, (18, 4)),
        ("/v1/embeddings", {"model": "fake", "input": ["xxxx", "yyyy"]}, (4, 1)),
        ("/v1/responses", {"model": "fake", "input": "xxxx", "max_output_tokens": 20}, (22, 1)),
    ],
)
async def test_limits_are_held_for_what_a_call_may_use(
    service: MakeService, path: str, body: dict[str, Any], held: tuple[int, int]
) -> None:
    it = service(*["a"] * 4)
    it.access = FakeAccess()
    assert (await it.post(path, body)).status == 200
    assert it.access.held == [held]


@pytest.mark.parametrize(
    ("error", "kind", "code", "again"),
    [
        (LimitReached("Slowly.", retry_after=2), "rate_limit_error", "rate_limit_exceeded", None),
        (QuotaReached("Used up.", retry_after=90), "insufficient_quota", "insufficient_quota", "false"),
    ],
)
async def test_a_limit_that_others_hold_refuses_a_call(
    service: MakeService, error: LimitReached, kind: str, code: str, again: str | None
) -> None:
    it = service("a")
    it.access = FakeAccess(limit=error)
    answer = await it.post(PATH, asked())
    assert (answer.status, answer.error["type"], answer.error["code"]) == (429, kind, code)
    assert answer.headers["retry-after"] == str(error.retry_after)
    assert answer.headers.get("x-should-retry") == again
    assert it.access.turned_away == [error.code] and it.ledger.entries == []


async def test_refused_models_are_noted_and_other_errors_are_not(service: MakeService) -> None:
    it = service("a")
    it.access = FakeAccess(models=())
    await it.post(PATH, asked())
    await it.post(PATH, asked(model="other"))
    await it.post(PATH, b"{")
    assert it.access.turned_away == ["access"]


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


async def test_adapters_are_models_of_their_own(service: MakeService) -> None:
    chats = FakeChat(["a"]), FakeChat(["b"], name="fake:law"), FakeChat(["c"], name="other")
    it = service(*chats, adapters={"fake": {"law": "/law"}, "absent": {"x": "/x"}})
    it.models.hidden = {"fake:law"}
    assert it.models.status()[0].name == "fake"

    async def names() -> list[str]:
        return sorted(model["id"] for model in (await it.ask("GET", "/v1/models")).json["data"])

    assert await names() == ["fake", "fake:law", "other"]
    for models, seen, status in ((("fake",), ["fake"], 403), (("fake:law",), ["fake:law"], 200)):
        it.access = FakeAccess(models=models)
        assert await names() == seen
        assert (await it.post(PATH, asked(model="fake:law"))).status == status
    assert (await it.post(PATH, asked(model="absent:x"))).status == 404
    assert it.access is not None and it.access.counted == [("fake:law", 2, 1)]


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
async def test_a_reply_that_is_cut_at_a_stop_says_so(service: MakeService, stream: bool) -> None:
    async def stop() -> None:
        it.drain.end()
        await anyio.sleep_forever()

    it = service(PartChat([ChatDelta(text="a"), stop]))
    it.access = FakeAccess()
    answer = await it.post(PATH, asked(stream=stream))
    error = answer.data[-1]["error"] if stream else answer.error
    assert answer.status == (200 if stream else 503) and error["code"] == "service_unavailable"
    assert [entry.body["status"] for entry in it.ledger.entries] == ["cancelled"]
    assert len(it.access.counted) == 1


async def test_a_body_has_a_largest_size(service: MakeService) -> None:
    answer = await service("a").post(PATH, b" " * (2**20 + 1))
    assert answer.status == 413 and answer.error["code"] == "request_too_large"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, asked(messages=[{"role": "user", "content": "x" * 300_000}])),
        ("/v1/completions", {"model": "fake", "prompt": ["x", "x" * 300_000]}),
        ("/v1/embeddings", {"model": "fake", "input": ["x", "x" * 300_000]}),
        ("/v1/responses", {"model": "fake", "input": "x" * 300_000}),
    ],
)
async def test_what_can_never_fit_is_not_even_counted(
    service: MakeService, path: str, body: dict[str, Any]
) -> None:
    chat = FakeChat(["x"])
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
