"""Text completions, embeddings and the list of models."""

import base64
import struct
from typing import Any

import pytest

from llmasos.models import ModelStatus
from llmasos.models.chat.fake import FakeChat
from llmasos.models.engines.port import Chunk, InvalidRequest, TokenChoice, TokenUsage
from tests.service.openai.conftest import FakeAccess, MakeService, PartChat

pytestmark = pytest.mark.anyio


def wanted(**fields: Any) -> dict[str, Any]:
    return {"model": "fake", "prompt": "Once", **fields}


async def test_prompts_are_continued_n_times(service: MakeService) -> None:
    it = service("aaaa", "bbbb", "cccc", "dddd")
    body = (await it.post("/v1/completions", wanted(prompt=["P", "Q"], n=2, echo=True, seed=1))).json
    assert body["object"] == "text_completion" and body["id"].startswith("cmpl-")
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert [choice["text"][0] for choice in body["choices"]] == ["P", "P", "Q", "Q"]
    assert body["usage"]["completion_tokens"] == 4
    chat = it.models.chats["fake"]
    assert isinstance(chat, FakeChat)
    assert [(request.prompt, request.seed) for request in chat.completions] == [
        ("P", 1),
        ("P", 2),
        ("Q", 1),
        ("Q", 2),
    ]
    assert chat.completions[0].max_tokens == 16 and chat.completions[0].temperature == 1.0


async def test_a_continuation_streams(service: MakeService) -> None:
    options = {"include_usage": True}
    answer = await service("hello").post(
        "/v1/completions", wanted(stream=True, stream_options=options, echo=True)
    )
    data = answer.data
    assert data.pop() == "[DONE]" and data.pop()["usage"]["completion_tokens"] == 2
    assert "".join(chunk["choices"][0]["text"] for chunk in data) == "Oncehello"
    assert data[-1]["choices"][0]["finish_reason"] == "stop"


async def test_log_probabilities_have_the_older_form(service: MakeService) -> None:
    first = TokenChoice(text="ab", data=b"ab", logprob=-0.1)
    second = TokenChoice(text="c", data=b"c", logprob=-0.2, others=(first,))
    pieces = [
        Chunk(text="ab", logprobs=(first,)),
        Chunk(text="c", logprobs=(second,)),
        Chunk(finish_reason="stop", usage=TokenUsage()),
    ]
    it = service(PartChat(pieces))
    (choice,) = (await it.post("/v1/completions", wanted(logprobs=1))).json["choices"]
    assert choice["logprobs"] == {
        "tokens": ["ab", "c"],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{}, {"ab": -0.1}],
        "text_offset": [0, 2],
    }
    data = (await it.post("/v1/completions", wanted(logprobs=1, stream=True))).data
    assert [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in data[:-1]] == [[0], [2], []]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["x"] * 9, "n": 16}, "n"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"echo": True, "logprobs": 1}, "echo"),
    ],
)
async def test_what_a_continuation_cannot_do(
    service: MakeService, fields: dict[str, Any], param: str
) -> None:
    answer = await service("x").post("/v1/completions", wanted(**fields))
    assert answer.status == 400 and answer.error["param"] == param


async def test_embeddings_come_as_numbers_or_bytes(service: MakeService) -> None:
    it = service("x")
    body = (await it.post("/v1/embeddings", {"model": "fake", "input": ["a", "bb"]})).json
    assert [row["embedding"] for row in body["data"]] == [[1.0, 0.0], [0.0, 1.0]]
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    coded = {"model": "fake", "input": "a", "encoding_format": "base64", "dimensions": 2}
    (row,) = (await it.post("/v1/embeddings", coded)).json["data"]
    assert struct.unpack("<2f", base64.b64decode(row["embedding"])) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"input": [1]}, "input"), ({"input": ""}, "input"), ({"input": "a", "dimensions": 3}, "dimensions")],
)
async def test_what_embeddings_cannot_do(service: MakeService, fields: dict[str, Any], param: str) -> None:
    answer = await service("x").post("/v1/embeddings", {"model": "fake", **fields})
    assert answer.status == 400 and answer.error["param"] == param


async def test_a_model_without_embeddings_says_so(service: MakeService) -> None:
    it = service(PartChat([InvalidRequest("It makes no embeddings.")]))
    answer = await it.post("/v1/embeddings", {"model": "fake", "input": "a"})
    assert answer.status == 400 and answer.error["message"] == "It makes no embeddings."


async def test_models_are_listed_for_those_who_may_ask_them(service: MakeService) -> None:
    it = service(FakeChat(name="fake"), FakeChat(name="org/name:q4.gguf"))
    listed = (await it.ask("GET", "/v1/models")).json
    assert [model["id"] for model in listed["data"]] == ["fake", "org/name:q4.gguf"]
    assert listed["data"][0]["created"] == 1767225600
    assert (await it.ask("GET", "/v1/models/org/name:q4.gguf")).json == listed["data"][1]
    for name in ("no/such", "absent"):
        missing = await it.ask("GET", f"/v1/models/{name}")
        assert missing.status == 404 and missing.error["code"] == "model_not_found"
    it.models.absent = [ModelStatus(name="first", title="", state="absent", default=True)]
    assert (await it.ask("GET", "/v1/models/first")).status == 200
    it.access = FakeAccess()
    assert [model["id"] for model in (await it.ask("GET", "/v1/models")).json["data"]] == ["fake"]
    assert (await it.ask("GET", "/v1/models/org/name:q4.gguf")).status == 403
