"""Chat completions."""

from typing import Any

import anyio
import pytest

from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import CallDelta, ChatCall, ChatDelta
from llmasos.models.engines.port import TokenChoice, TokenUsage
from tests.service.openai.conftest import MakeService, PartChat, asked

pytestmark = pytest.mark.anyio
PATH = "/v1/chat/completions"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
TIME = {"type": "function", "function": {"name": "time"}}
CALL = ChatCall(id="c1", name="weather", arguments='{"city": "北京"}')


def fake(it: Any) -> FakeChat:
    chat = it.models.chats["fake"]
    assert isinstance(chat, FakeChat)
    return chat


async def test_a_reply_comes_whole(service: MakeService) -> None:
    it = service("你好 there")
    answer = await it.post(PATH, asked())
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    body = answer.json
    assert body["object"] == "chat.completion" and body["model"] == "fake"
    assert body["id"].startswith("chatcmpl-")
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "你好 there", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    usage = body["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (2, 2, 4)


async def test_every_parameter_reaches_the_chat(service: MakeService) -> None:
    it = service("x")
    answer = await it.post(
        PATH,
        asked(
            messages=[
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": "rain"},
            ],
            tools=[WEATHER, TIME],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            parallel_tool_calls=False,
            temperature=0.5,
            top_p=0.9,
            seed=7,
            stop="END",
            presence_penalty=1,
            frequency_penalty=-1,
            logit_bias={"12": -100},
            logprobs=True,
            top_logprobs=3,
            max_tokens=5,
            max_completion_tokens=9,
            user="u",
            metadata={"a": "b"},
            audio=None,
        ),
    )
    assert answer.status == 200, answer.content
    (request,) = fake(it).requests
    assert [(message.role, message.content) for message in request.messages] == [
        ("system", "be brief"),
        ("user", "a\nb"),
        ("assistant", ""),
        ("tool", "rain"),
    ]
    assert request.messages[2].calls[0].name == "weather" and request.messages[3].call_id == "1"
    assert [tool.name for tool in request.tools] == ["weather", "time"]
    assert request.tools[0].parameters["properties"] == {"city": {"type": "string"}}
    assert (request.tool_choice, request.tool_named, request.parallel_calls) == ("required", "weather", False)
    assert (request.temperature, request.top_p, request.seed, request.stop) == (0.5, 0.9, 7, ("END",))
    assert (request.presence_penalty, request.frequency_penalty) == (1, -1)
    assert request.logit_bias == ((12, -100.0),) and request.logprobs == 3 and request.max_tokens == 9


async def test_what_is_not_said_is_left_to_the_model(service: MakeService) -> None:
    it = service("x", "y")
    await it.post(PATH, asked(top_p=None))
    await it.post(PATH, asked(top_p=0, repetition_penalty=1.5))
    said = [request.model_fields_set for request in fake(it).requests]
    assert not said[0] & {"top_p", "top_k", "min_p", "presence_penalty", "stop", "repeat_penalty"}
    assert fake(it).requests[0].temperature is None
    assert {"top_p", "repeat_penalty"} <= said[1] and 0 < fake(it).requests[1].top_p < 0.001


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {}),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}},
            },
            {"type": "object"},
        ),
    ],
)
async def test_a_format_becomes_a_schema(service: MakeService, given: Any, schema: Any) -> None:
    it = service("{}")
    assert (await it.post(PATH, asked(response_format=given))).status == 200
    assert fake(it).requests[0].json_schema == schema


async def test_a_subset_of_the_tools_may_be_allowed(service: MakeService) -> None:
    it = service("x")
    named = {"type": "function", "function": {"name": "time"}}
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}}
    assert (await it.post(PATH, asked(tools=[WEATHER, TIME], tool_choice=choice))).status == 200
    (request,) = fake(it).requests
    assert [tool.name for tool in request.tools] == ["time"] and request.tool_choice == "required"


async def test_several_replies_have_seeds_of_their_own_and_one_usage(service: MakeService) -> None:
    it = service("one", "two", "three")
    body = (await it.post(PATH, asked(n=3, seed=5))).json
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in body["choices"]} == {"one", "two", "three"}
    assert [request.seed for request in fake(it).requests] == [5, 6, 7]
    assert body["usage"]["prompt_tokens"] == 6 and body["usage"]["completion_tokens"] == 4


async def test_calls_come_whole(service: MakeService) -> None:
    it = service((CALL, ChatCall(id="c2", name="time", arguments="{}")))
    (choice,) = (await it.post(PATH, asked(tools=[WEATHER, TIME]))).json["choices"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "北京"}'}},
        {"id": "c2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]


async def test_a_stream_begins_with_the_role_and_ends_with_the_usage(service: MakeService) -> None:
    it = service("hello world")
    data = (await it.post(PATH, asked(stream=True, stream_options={"include_usage": True}))).data
    assert data.pop() == "[DONE]"
    last = data.pop()
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 5
    assert all(chunk["object"] == "chat.completion.chunk" and chunk["usage"] is None for chunk in data)
    assert len({chunk["id"] for chunk in [*data, last]}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in data]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert [delta["content"] for delta in deltas[1:-1]] == ["hell", "o wo", "rld"] and deltas[-1] == {}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in data]
    assert reasons == [None] * (len(data) - 1) + ["stop"]


async def test_usage_comes_in_streams_only_when_asked_for(service: MakeService) -> None:
    data = (await service("x").post(PATH, asked(stream=True))).data
    assert all("usage" not in chunk for chunk in data[:-1])


async def test_a_stream_of_calls_has_each_name_once(service: MakeService) -> None:
    it = service((CALL, ChatCall(id="c2", name="time", arguments="{}")))
    data = (await it.post(PATH, asked(tools=[WEATHER, TIME], stream=True))).data
    pieces = [call for chunk in data[:-1] for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [piece["function"].get("name") for piece in pieces if "id" in piece] == ["weather", "time"]
    joined = {0: "", 1: ""}
    for piece in pieces:
        joined[piece["index"]] += piece["function"]["arguments"]
    assert joined == {0: '{"city": "北京"}', 1: "{}"}
    assert data[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_streams_of_several_replies_interleave(service: MakeService) -> None:
    data = (await service("one and", "two and").post(PATH, asked(n=2, stream=True))).data
    texts = {0: "", 1: ""}
    ends = []
    for chunk in data[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
        ends += [choice["index"]] if choice["finish_reason"] else []
    assert sorted(texts.values()) == ["one and", "two and"] and sorted(ends) == [0, 1]


async def test_log_probabilities_have_their_alternatives(service: MakeService) -> None:
    other = TokenChoice(text="b", data=b"b", logprob=float("-inf"))
    token = TokenChoice(text="\ufffd", data=b"\xe4", logprob=-0.5, others=(other,))
    pieces = [
        ChatDelta(text="\ufffd", logprobs=(token,)),
        ChatDelta(finish_reason="stop", usage=TokenUsage(input=1, output=1)),
    ]
    expected = {
        "content": [
            {
                "token": "\ufffd",
                "logprob": -0.5,
                "bytes": [0xE4],
                "top_logprobs": [{"token": "b", "logprob": -9999.0, "bytes": [98]}],
            }
        ],
        "refusal": None,
    }
    it = service(PartChat(pieces))
    (choice,) = (await it.post(PATH, asked(logprobs=True, top_logprobs=1))).json["choices"]
    assert choice["logprobs"] == expected
    data = (await it.post(PATH, asked(logprobs=True, top_logprobs=1, stream=True))).data
    assert [chunk["choices"][0]["logprobs"] for chunk in data[:-1]] == [None, expected, None]


async def test_text_in_the_last_piece_is_not_lost(service: MakeService) -> None:
    pieces = [
        ChatDelta(
            text="all", calls=(CallDelta(index=0, id="c", name="time", arguments="{}"),), finish_reason="stop"
        )
    ]
    data = (await service(PartChat(pieces)).post(PATH, asked(stream=True))).data
    assert data[1]["choices"][0]["delta"]["content"] == "all"
    assert [chunk["choices"][0]["finish_reason"] for chunk in data[:-1]] == [None, None, "stop"]


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
    it = service("x")
    answer = await it.post(PATH, asked(**fields))
    assert answer.status == 400 and answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == param, answer.error
    assert fake(it).requests == []


async def test_a_stream_sends_what_there_is_before_the_next_piece(service: MakeService) -> None:
    more = anyio.Event()
    pieces = [ChatDelta(text="first"), more.wait, ChatDelta(text="second"), ChatDelta(finish_reason="stop")]
    it = service(PartChat(pieces))
    async with anyio.create_task_group() as tasks:
        answers = []

        async def ask() -> None:
            answers.append(await it.post(PATH, asked(stream=True)))

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert not answers
        more.set()
    assert "[DONE]" in answers[0].data
