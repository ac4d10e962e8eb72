"""The Responses API."""

from typing import Any

import pytest

from llmasos.errors import ModelError
from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import CallDelta, ChatCall, ChatDelta
from llmasos.models.engines.port import TokenUsage
from llmasos.service.openai.responses import store
from tests.service.openai.conftest import Answer, FakeAccess, MakeService, PartChat, Service

pytestmark = pytest.mark.anyio
PATH = "/v1/responses"
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def wanted(**fields: Any) -> dict[str, Any]:
    return {"model": "fake", "input": "hi", **fields}


def asked_of(it: Service, index: int = -1) -> list[tuple[str, str]]:
    chat = it.models.chats["fake"]
    assert isinstance(chat, FakeChat)
    return [(message.role, message.content) for message in chat.requests[index].messages]


def events(answer: Answer) -> list[dict[str, Any]]:
    """Return the events; each is named as its type and numbered in order."""
    names = [line[7:] for line in answer.content.decode().split("\n") if line.startswith("event: ")]
    data = answer.data
    assert names == [event["type"] for event in data]
    assert [event["sequence_number"] for event in data] == list(range(len(data)))
    return data


async def test_a_response_comes_whole_and_is_kept(service: MakeService) -> None:
    it = service("hello")
    body = (await it.post(PATH, wanted(instructions="be brief", metadata={"a": "b"}, temperature=0.5))).json
    assert body["status"] == "completed" and body["object"] == "response" and body["error"] is None
    (item,) = body["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    text = {"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}
    assert item["content"] == [text]
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + 2
    assert (
        body["metadata"] == {"a": "b"} and body["instructions"] == "be brief" and body["temperature"] == 0.5
    )
    assert asked_of(it) == [("system", "be brief"), ("user", "hi")]
    shown = await it.ask("GET", f"{PATH}/{body['id']}")
    assert shown.status == 200 and shown.json == body
    items = (await it.ask("GET", f"{PATH}/{body['id']}/input_items")).json
    assert items["data"][0]["content"] == [{"type": "input_text", "text": "hi"}]


async def test_a_response_goes_on_from_those_before(service: MakeService) -> None:
    it = service("two", "four", "six")
    first = (await it.post(PATH, wanted(input="one", instructions="gone afterwards"))).json
    second = (await it.post(PATH, wanted(input="three", previous_response_id=first["id"]))).json
    await it.post(PATH, wanted(input="five", previous_response_id=second["id"], instructions="new"))
    assert asked_of(it) == [
        ("system", "new"),
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
        ("assistant", "four"),
        ("user", "five"),
    ]


async def test_calls_and_their_results_are_items(service: MakeService) -> None:
    it = service(ChatCall(id="c1", name="weather", arguments='{"a": 1}'), "rain", "rain")
    first = (await it.post(PATH, wanted(tools=[WEATHER], tool_choice="required"))).json
    (call,) = first["output"]
    assert (call["type"], call["call_id"], call["name"], call["arguments"]) == (
        "function_call",
        "c1",
        "weather",
        '{"a": 1}',
    )
    result = {"type": "function_call_output", "call_id": "c1", "output": "wet"}
    kept = await it.post(PATH, wanted(input=[result], previous_response_id=first["id"]))
    sent = await it.post(PATH, wanted(input=[{"role": "user", "content": "hi"}, call, result]))
    assert kept.status == sent.status == 200
    assert asked_of(it, 1) == asked_of(it, 2) == [("user", "hi"), ("assistant", ""), ("tool", "wet")]
    chat = it.models.chats["fake"]
    assert isinstance(chat, FakeChat)
    assert chat.requests[1].messages[1].calls == (ChatCall(id="c1", name="weather", arguments='{"a": 1}'),)


async def test_text_and_several_calls_are_one_message_of_the_conversation(service: MakeService) -> None:
    it = service("x")
    items = [
        {"role": "assistant", "content": [{"type": "output_text", "text": "wait", "annotations": []}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "1", "name": "weather", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "b"}]},
        {"type": "function_call_output", "call_id": "1", "output": "a"},
    ]
    assert (await it.post(PATH, wanted(input=items))).status == 200
    assert asked_of(it) == [("assistant", "wait"), ("tool", "b"), ("tool", "a")]


async def test_a_stream_tells_every_step(service: MakeService) -> None:
    it = service("hello")
    data = events(await it.post(PATH, wanted(stream=True)))
    assert [event["type"].removeprefix("response.") for event in data] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in data if "delta" in event] == ["hell", "o"]
    last = data[-1]["response"]
    assert data[0]["response"]["output"] == [] and data[0]["response"]["status"] == "in_progress"
    assert last["output"] == [data[-2]["item"]] and last["status"] == "completed"
    assert (await it.ask("GET", f"{PATH}/{last['id']}")).json == last


async def test_a_stream_of_text_and_calls_numbers_its_items(service: MakeService) -> None:
    pieces = [
        ChatDelta(text="wait"),
        ChatDelta(calls=(CallDelta(index=0, id="c1", name="weather"),)),
        ChatDelta(calls=(CallDelta(index=0, arguments="{"), CallDelta(index=1, id="c2", name="weather"))),
        ChatDelta(calls=(CallDelta(index=1, arguments="{}"), CallDelta(index=0, arguments="}"))),
        ChatDelta(text="more"),
        ChatDelta(finish_reason="tool_calls", usage=TokenUsage(input=1, output=1)),
    ]
    data = events(await service(PartChat(pieces)).post(PATH, wanted(stream=True, tools=[WEATHER])))
    added = [event for event in data if event["type"] == "response.output_item.added"]
    done = [event for event in data if event["type"] == "response.output_item.done"]
    assert (
        [event["output_index"] for event in added]
        == [event["output_index"] for event in done]
        == [0, 1, 2, 3]
    )
    output = data[-1]["response"]["output"]
    assert output == [event["item"] for event in done]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call", "message"]
    assert [item.get("arguments") for item in output] == [None, "{}", "{}", None]
    assert output[3]["content"][0]["text"] == "more"


async def test_a_response_that_was_cut_is_incomplete(service: MakeService) -> None:
    it = service("hello", "hello")
    body = (await it.post(PATH, wanted(max_output_tokens=1))).json
    assert body["status"] == "incomplete" and body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert body["output"][0]["status"] == "incomplete" and body["output"][0]["content"][0]["text"] == "hell"
    data = events(await it.post(PATH, wanted(max_output_tokens=1, stream=True)))
    assert data[-1]["type"] == "response.incomplete"


async def test_a_stream_that_fails_says_so_and_is_not_kept(service: MakeService) -> None:
    it = service(PartChat([ChatDelta(text="a"), ModelError("It broke.", hint="Ask again.")]))
    data = events(await it.post(PATH, wanted(stream=True)))
    assert data[-1]["type"] == "response.failed"
    failed = data[-1]["response"]
    assert failed["status"] == "failed"
    assert failed["error"] == {"code": "server_error", "message": "It broke. Ask again."}
    assert (await it.ask("GET", f"{PATH}/{failed['id']}")).status == 404


async def test_responses_are_forgotten_on_demand_and_not_kept_unasked(service: MakeService) -> None:
    it = service("a", "b")
    kept = (await it.post(PATH, wanted())).json["id"]
    assert (await it.ask("DELETE", f"{PATH}/{kept}")).json["deleted"] is True
    assert (await it.ask("DELETE", f"{PATH}/{kept}")).status == 404
    answer = await it.post(PATH, wanted(previous_response_id=kept))
    assert answer.status == 400 and answer.error["code"] == "previous_response_not_found"
    loose = (await it.post(PATH, wanted(store=False))).json["id"]
    assert (await it.ask("GET", f"{PATH}/{loose}")).status == 404


async def test_a_response_is_its_owners(service: MakeService) -> None:
    it = service("a", "b")
    it.access = FakeAccess("k1")
    kept = (await it.post(PATH, wanted())).json["id"]
    for other in (FakeAccess("k2"), None):
        it.access = other
        assert (await it.ask("GET", f"{PATH}/{kept}")).status == 404
        assert (await it.ask("GET", f"{PATH}/{kept}/input_items")).status == 404
        assert (await it.ask("DELETE", f"{PATH}/{kept}")).status == 404
        assert (await it.post(PATH, wanted(previous_response_id=kept))).status == 400
    it.access = FakeAccess("k1")
    assert (await it.ask("GET", f"{PATH}/{kept}")).status == 200


async def test_old_responses_are_forgotten(service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    it = service("a", "b")
    old = (await it.post(PATH, wanted())).json["id"]
    monkeypatch.setattr(store, "DAYS", -1)
    await it.post(PATH, wanted())
    assert (await it.ask("GET", f"{PATH}/{old}")).status == 404


async def test_the_oldest_go_where_a_key_has_too_many(service: MakeService) -> None:
    it = service(*"abcdefg", most=3)
    it.access = FakeAccess("k2")
    other = (await it.post(PATH, wanted())).json["id"]
    it.access = FakeAccess("k1")
    made = [(await it.post(PATH, wanted())).json["id"] for _ in range(5)]
    there = [(await it.ask("GET", f"{PATH}/{each}")).status for each in made]
    assert there == [404, 404, 200, 200, 200]
    it.access = FakeAccess("k2")
    assert (await it.ask("GET", f"{PATH}/{other}")).status == 200


@pytest.mark.parametrize(("limit", "most"), [("MOST_BEFORE", 2), ("MOST_CHARACTERS", 2500)])
async def test_a_conversation_has_an_end(
    service: MakeService, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(store, limit, most)
    it = service("a", "b", "c")
    last: str | None = None
    for _ in range(2):
        last = (await it.post(PATH, wanted(previous_response_id=last))).json["id"]
    third = await it.post(PATH, wanted(previous_response_id=last))
    assert third.status == 200
    assert (await it.post(PATH, wanted(previous_response_id=third.json["id"]))).status == 400


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]}, "input[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"truncation": "auto"}, "truncation"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
    ],
)
async def test_what_a_response_cannot_do(service: MakeService, fields: dict[str, Any], param: str) -> None:
    answer = await service("x").post(PATH, wanted(**fields))
    assert answer.status == 400 and answer.error["param"] == param, answer.content
