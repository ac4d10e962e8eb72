"""Chat completions that cannot be carried out."""

from typing import Any

import pytest

from llmasos.models.chat.fake import FakeChat
from tests.service.openai.conftest import MakeService, asked

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"
TIME = {"type": "function", "function": {"name": "time"}}


async def test_the_largest_seed_has_choices_too(service: MakeService) -> None:
    chat = FakeChat(["x"] * 3)
    assert (await service(chat).post(PATH, asked(seed=2**63 - 1, n=3))).status == 200
    seeds = [request.seed for request in chat.requests]
    assert seeds == [2**63 - 1, -(2**63) + 1, -(2**63) + 2]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": ""}, "stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "other"}}, "tools": [TIME]},
            "tool_choice",
        ),
        ({"tools": [TIME, TIME]}, "tools"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [TIME] * 257}, "tools"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"modalities": ["audio"]}, "modalities[0]"),
        ({"functions": []}, "functions"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": 5}, "model"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    service: MakeService, fields: dict[str, Any], param: str
) -> None:
    chat = FakeChat(["x"])
    it = service(chat)
    answer = await it.post(PATH, asked(**fields))
    assert answer.status == 400 and answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == param, answer.error
    assert chat.requests == []
