"""What is sent is what OpenAI's client declares: its types take every object strictly and know each field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseItem, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter

from llmasos.errors import ModelError
from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import CallDelta, ChatDelta
from llmasos.models.engines.port import Chunk, TokenChoice, TokenUsage
from tests.service.openai.conftest import MakeService, PartChat, asked

pytestmark = pytest.mark.anyio
# Older versions of the client declare a name that newer ones leave out.
ARGUMENTS_DONE = "response.function_call_arguments.done"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "Tells it.", "parameters": PARAMETERS, "strict": True}
CHOICE = TokenChoice(
    text="a", data=b"a", logprob=-0.5, others=(TokenChoice(text="b", data=b"b", logprob=-float("inf")),)
)
USAGE = TokenUsage(input=3, cached=1, output=2)
TALK = [ChatDelta(text="a", logprobs=(CHOICE,)), ChatDelta(finish_reason="stop", usage=USAGE)]
CALLS = [
    ChatDelta(text="wait"),
    ChatDelta(calls=(CallDelta(index=0, id="c1", name="weather"),)),
    ChatDelta(calls=(CallDelta(index=0, arguments="{}"), CallDelta(index=1, id="c2", name="weather"))),
    ChatDelta(calls=(CallDelta(index=1, arguments="{}"),)),
    ChatDelta(finish_reason="tool_calls", usage=USAGE),
]


def unknown(value: Any, place: str = "") -> Iterator[str]:
    """Yield the fields that the client's types do not declare."""
    if isinstance(value, BaseModel):
        yield from (f"{place}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from unknown(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown(item, f"{place}[{index}]")


def take(kind: Any, value: Any) -> Any:
    """Return an object as the client's type, when it is just that."""
    made = TypeAdapter(kind).validate_python(value, strict=True)
    allowed = {".name"} if isinstance(value, dict) and value.get("type") == ARGUMENTS_DONE else set()
    assert set(unknown(made)) <= allowed
    return made


@pytest.mark.parametrize("pieces", [TALK, CALLS], ids=["talk", "calls"])
async def test_chats_and_their_chunks(service: MakeService, pieces: list[ChatDelta]) -> None:
    it = service(PartChat(pieces))
    more: dict[str, Any] = {"logprobs": True, "top_logprobs": 1}
    if pieces is CALLS:
        more = {"tools": [{"type": "function", "function": FUNCTION}]}
    whole = (await it.post("/v1/chat/completions", asked(n=2, **more))).json
    assert len(take(ChatCompletion, whole).choices) == 2
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, done = (await it.post("/v1/chat/completions", asked(**options, **more))).data
    assert done == "[DONE]" and len(chunks) > 3
    made = [take(ChatCompletionChunk, chunk) for chunk in chunks]
    assert made[-1].usage.total_tokens == 5 and {chunk.id for chunk in made} == {made[0].id}


async def test_completions(service: MakeService) -> None:
    pieces = [Chunk(text="a", logprobs=(CHOICE,)), Chunk(finish_reason="stop", usage=USAGE)]
    it = service(PartChat(pieces))
    body = {"model": "fake", "prompt": ["x", "y"], "logprobs": 1}
    assert len(take(Completion, (await it.post("/v1/completions", body)).json).choices) == 2
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, _ = (await it.post("/v1/completions", {**body, **options})).data
    for chunk in chunks:
        for choice in chunk["choices"]:
            # Its type knows whole completions only; until the last chunk there is no reason.
            choice["finish_reason"] = choice["finish_reason"] or "stop"
    made = [take(Completion, chunk) for chunk in chunks]
    assert made[-1].usage is not None and made[-1].choices == []


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_embeddings_and_models(service: MakeService, form: str) -> None:
    it = service(FakeChat())
    body = {"model": "fake", "input": ["x", "yy"], "encoding_format": form}
    made = (await it.post("/v1/embeddings", body)).json
    if form == "base64":
        # The client decodes this before its types see it.
        for each in made["data"]:
            assert isinstance(each.pop("embedding"), str)
            each["embedding"] = [0.0]
    take(CreateEmbeddingResponse, made)
    models = (await it.ask("GET", "/v1/models")).json
    assert set(models) == {"object", "data"} and models["object"] == "list"
    assert take(list[Model], models["data"])[0].id == "fake"
    take(Model, (await it.ask("GET", "/v1/models/fake")).json)


@pytest.mark.parametrize(
    ("pieces", "more", "kinds"),
    [
        (
            TALK,
            {"top_logprobs": 1, "include": ["message.output_text.logprobs"], "metadata": {"a": "b"}},
            ["message"],
        ),
        (
            CALLS,
            {
                "tools": [{"type": "function", **FUNCTION}],
                "tool_choice": {"type": "function", "name": "weather"},
            },
            ["message", "function_call", "function_call"],
        ),
        (
            [ChatDelta(text="{"), ChatDelta(finish_reason="length", usage=USAGE)],
            {
                "text": {
                    "format": {"type": "json_schema", "name": "x", "schema": PARAMETERS, "strict": True}
                },
                "tools": [{"type": "function", "name": "bare"}],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "bare"}],
                },
                "max_output_tokens": 20,
            },
            ["message"],
        ),
        ([ChatDelta(text="a"), ModelError("It broke.")], {"instructions": "be brief"}, ["message"]),
    ],
    ids=["talk", "calls", "cut", "broken"],
)
async def test_responses_and_their_events(
    service: MakeService, pieces: list[Any], more: dict[str, Any], kinds: list[str]
) -> None:
    it = service(PartChat(pieces))
    body = {"model": "fake", "input": [{"role": "user", "content": "hi"}], **more}
    events = [
        take(ResponseStreamEvent, data)
        for data in (await it.post("/v1/responses", {**body, "stream": True})).data
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1].response
    assert events[-1].type == f"response.{last.status}" and [item.type for item in last.output] == kinds
    if last.status == "failed":
        return
    # Every item is begun and ended once, in between comes what it consists of, and the end has it all.
    for place, item in enumerate(last.output):
        mine = [event for event in events if getattr(event, "output_index", None) == place]
        assert (mine[0].type, mine[-1].type) == ("response.output_item.added", "response.output_item.done")
        assert mine[-1].item == item
        text = item.arguments if item.type == "function_call" else item.content[0].text
        assert "".join(event.delta for event in mine if event.type.endswith(".delta")) == text
    whole = (await it.post("/v1/responses", body)).json
    made = take(Response, whole)
    assert made.status == last.status and [item.type for item in made.output] == kinds
    listed = (await it.ask("GET", f"/v1/responses/{made.id}/input_items")).json
    assert set(listed) == {"object", "data", "first_id", "last_id", "has_more"}
    take(list[ResponseItem], listed["data"])


async def test_items_of_every_kind_are_listed(service: MakeService) -> None:
    it = service("x")
    items = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "wait", "annotations": []}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "a"},
    ]
    made = (await it.post("/v1/responses", {"model": "fake", "input": items})).json
    listed = (await it.ask("GET", f"/v1/responses/{made['id']}/input_items")).json["data"]
    found = take(list[ResponseItem], listed)
    assert [item.type for item in found] == [
        "function_call_output",
        "function_call",
        "reasoning",
        "message",
        "message",
        "message",
    ]


@pytest.mark.parametrize("body", [b"{", b'{"model": "fake"}', b'{"model": "other", "messages": [{}]}'])
async def test_errors(service: MakeService, body: bytes) -> None:
    answer = await service("x").post("/v1/chat/completions", body)
    assert set(answer.json) == {"error"}
    assert take(ErrorObject, answer.json["error"]).message
