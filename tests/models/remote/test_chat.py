"""A remote chat against a real server that misbehaves."""

import json
import logging
from typing import Any

import anyio
import pytest
from starlette.responses import JSONResponse, Response

from llmasos.errors import ModelError
from llmasos.models.chat.port import ChatCall, ChatDelta, ChatMessage, ChatRequest, ChatTool
from llmasos.models.engines.port import CompletionRequest, ContextExceeded, InvalidRequest
from llmasos.models.remote import Patience, RemoteChat, Spend
from llmasos.models.scheduler.types import Refused
from tests.models.remote.conftest import Talking
from tests.models.remote.server import (
    HELLO,
    broken_off,
    piece,
    sent,
    stalled,
    streamed,
    usage,
)

pytestmark = pytest.mark.anyio


ASKED = ChatRequest(messages=(ChatMessage(role="user", content="hi"),))
TOOL = ChatTool(name="add", description="Add.", parameters={"type": "object", "properties": {}})


async def deltas(chat: RemoteChat, request: ChatRequest = ASKED) -> list[ChatDelta]:
    return [delta async for delta in chat.stream(request)]


def text(found: list[ChatDelta]) -> str:
    return "".join(delta.text for delta in found)


async def test_a_reply_streams_and_is_counted(talking: Talking) -> None:
    spend = Spend({"m": (1.0, 10.0)})
    async with talking(streamed(*HELLO), spend=spend) as (chat, server):
        found = await deltas(chat)
        assert text(found) == "hello"
        assert found[-1].finish_reason == "stop"
        assert found[-1].usage is not None and (found[-1].usage.input, found[-1].usage.output) == (5, 2)
        assert server.paths == ["chat/completions"]
        assert server.headers[0]["authorization"] == "Bearer secret-key"
        (expense,) = spend.expenses()
        assert (expense.requests, expense.input, expense.output) == (1, 5, 2)
        assert expense.cost == pytest.approx(25e-6)
        assert expense.endpoint == server.url


async def test_all_that_is_asked_is_sent(talking: Talking) -> None:
    call = ChatCall(id="c", name="add", arguments="{}")
    schema = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    request = ChatRequest(
        messages=(
            ChatMessage(role="assistant", calls=(call,)),
            ChatMessage(role="tool", content="3", call_id="c"),
        ),
        tools=(TOOL,),
        tool_choice="required",
        tool_named="add",
        parallel_calls=False,
        json_schema=schema,
        max_tokens=7,
        temperature=0.0,
        top_p=0.5,
        seed=1,
        stop=("x",),
        logprobs=2,
        logit_bias=((5, 1.0),),
    )
    async with talking(streamed(*HELLO)) as (chat, server):
        await deltas(chat, request)
    (body,) = server.asked
    assert body["messages"][0]["tool_calls"][0]["function"] == {"name": "add", "arguments": "{}"}
    assert body["messages"][1] == {"role": "tool", "content": "3", "tool_call_id": "c"}
    assert body["tools"][0]["function"]["name"] == "add"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert body["parallel_tool_calls"] is False
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["response_format"]["json_schema"]["strict"] is True
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["seed"]) == (7, 0.0, 0.5, 1)
    assert (body["stop"], body["logprobs"], body["top_logprobs"]) == (["x"], True, 2)
    assert body["logit_bias"] == {"5": 1.0}
    assert body["stream_options"] == {"include_usage": True}


async def test_what_was_not_asked_is_not_sent(talking: Talking) -> None:
    async with talking(streamed(*HELLO)) as (chat, server):
        await deltas(chat)
    assert server.asked[0].keys() == {"model", "messages", "stream", "stream_options"}


@pytest.mark.parametrize("shared", [False, True])
async def test_calls_come_with_their_own_index_and_id(talking: Talking, shared: bool) -> None:
    """Some endpoints send several whole calls under one index, and end with `stop`."""
    first = {"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"x"'}}
    rest = {"index": 0, "function": {"arguments": ": 1}"}}
    second = {"index": 0 if shared else 1, "id": "b", "function": {"name": "add", "arguments": "{}"}}
    events = [piece({"tool_calls": [call]}) for call in (first, rest, second)]
    async with talking(streamed(*events, piece(finish="stop"), usage())) as (chat, _):
        found = await deltas(chat)
    calls = [call for delta in found for call in delta.calls]
    assert [(call.index, call.id, call.name, call.arguments) for call in calls] == [
        (0, "a", "add", '{"x"'),
        (0, "", "", ": 1}"),
        (1, "b", "add", "{}"),
    ]
    assert found[-1].finish_reason == "tool_calls"


async def test_logprobs_are_read(talking: Talking) -> None:
    token = {"token": "é", "bytes": [195, 169], "logprob": -0.5}
    content = [{**token, "top_logprobs": [token, {"token": "b", "bytes": None, "logprob": -2}]}]
    events = (piece({"content": "é"}, logprobs={"content": content}), piece(finish="stop"))
    async with talking(streamed(*events)) as (chat, _):
        (choice,) = (await deltas(chat, ASKED.model_copy(update={"logprobs": 2})))[0].logprobs
    assert (choice.text, choice.data, choice.logprob) == ("é", "é".encode(), -0.5)
    assert [other.text for other in choice.others] == ["é", "b"]


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=500),
        Response("busy", status_code=503),
        Response(status_code=429, headers={"retry-after": "0"}),
        broken_off(),
        streamed(),
        Response("<html>", media_type="text/html"),
        Response(sent("no json"), media_type="text/event-stream"),
    ],
)
async def test_what_fails_before_the_first_piece_is_tried_again(talking: Talking, answer: Response) -> None:
    async with talking(answer, streamed(*HELLO)) as (chat, server):
        assert text(await deltas(chat)) == "hello"
        assert len(server.asked) == 2


async def test_an_endpoint_that_goes_on_failing_is_given_up(talking: Talking) -> None:
    async with talking(JSONResponse({"error": {"message": "on fire"}}, status_code=500)) as (chat, server):
        with pytest.raises(ModelError, match="HTTP 500: on fire"):
            await deltas(chat)
        assert len(server.asked) == 3


async def test_a_long_wait_is_left_to_the_caller(talking: Talking) -> None:
    answer = Response(status_code=429, headers={"retry-after": "60"})
    async with talking(answer) as (chat, server):
        with pytest.raises(Refused, match="HTTP 429") as caught:
            await deltas(chat)
        assert (caught.value.status, caught.value.retry_after) == (429, 60)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"error": {"message": "bad tool"}}, InvalidRequest, "HTTP 400: bad tool"),
        (422, {"detail": "wrong"}, InvalidRequest, "HTTP 422: wrong"),
        (400, {"error": {"code": "context_length_exceeded", "message": "too long"}}, ContextExceeded, "long"),
        (401, {}, ModelError, "refuses the key"),
        (404, {}, ModelError, "has no model 'm'"),
        (307, {}, ModelError, "sends elsewhere"),
    ],
)
async def test_refusals_are_not_tried_again(
    talking: Talking, status: int, body: dict[str, Any], kind: type[ModelError], message: str
) -> None:
    async with talking(JSONResponse(body, status_code=status)) as (chat, server):
        with pytest.raises(kind, match=message) as caught:
            await deltas(chat)
        assert "secret-key" not in str(caught.value)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (broken_off(piece({"content": "he"})), "cut the reply of m"),
        (streamed(piece({"content": "he"})), "cut the reply of m"),
        (streamed(piece({"content": "he"}), done=False), "cut the reply of m"),
        (streamed(piece({"content": "he"}), {"error": {"message": "out of luck"}}), "out of luck"),
        (streamed(piece({"content": "he"}), "{broken"), "no JSON"),
        (streamed(piece({"content": "he"}), "[1]"), "no object"),
        (streamed(piece({"content": "he"}), {"choices": 3}), "cannot be read"),
        (streamed(piece({"content": "he"}), {"choices": [3]}), "cannot be read"),
        (streamed(piece({"content": "he"}), piece({"tool_calls": [{"index": "x"}]})), "cannot be read"),
        (streamed(piece({"content": "he"}), "x" * (9 << 20)), "line of more than"),
        (streamed(piece({"content": "he"}), "[" * 100_000), "no JSON"),
    ],
    ids=range(11),
)
async def test_what_breaks_a_reply_is_told_and_paid_for(
    talking: Talking, answer: Response, message: str
) -> None:
    spend = Spend()
    async with talking(answer, spend=spend) as (chat, server):
        found: list[str] = []
        with pytest.raises(ModelError, match=message):
            async for delta in chat.stream(ASKED):
                found.append(delta.text)
        assert found == ["he"]
        assert len(server.asked) == 1
    (expense,) = spend.expenses()
    assert expense.output > 0


@pytest.mark.parametrize(
    ("answer", "patience", "message"),
    [
        (stalled(), Patience(first=0.5), "no reply within 0.5"),
        (stalled(piece({"content": "he"})), Patience(between=0.05), "no more within 0.05"),
        (stalled(piece({"content": "he"})), Patience(total=0.1), "no end within 0.1"),
    ],
)
async def test_a_silent_endpoint_is_given_up(
    talking: Talking, answer: Response, patience: Patience, message: str
) -> None:
    async with talking(answer, patience=patience) as (chat, server):
        with pytest.raises(ModelError, match=message):
            await deltas(chat)
        # It may be given up before the server has come to read it.
        with anyio.fail_after(30):
            while not server.asked:
                await anyio.sleep(0.01)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "lie",
    [usage(-1, 2), usage("many", 2), usage(1e9, 2), usage(5, 1 << 40), usage(5, 0), {"usage": "no"}, {}],
)
async def test_usage_that_cannot_be_true_is_estimated(talking: Talking, lie: dict[str, Any]) -> None:
    async with talking(streamed(piece({"content": "hello"}), piece(finish="stop"), lie)) as (chat, _):
        last = (await deltas(chat))[-1].usage
    assert last is not None
    assert 0 < last.input < 100
    assert 0 < last.output < 100


async def test_a_reader_that_leaves_pays_for_what_came(talking: Talking) -> None:
    spend = Spend()
    async with talking(stalled(piece({"content": "hello"})), spend=spend) as (chat, _):
        stream = chat.stream(ASKED)
        await anext(stream)
        await stream.aclose()
    assert spend.expenses()[0].output > 0


async def test_the_bound_of_tokens_has_two_names(talking: Talking) -> None:
    message = "Unsupported parameter: use 'max_completion_tokens' instead."
    answer = JSONResponse({"error": {"message": message}}, status_code=400)
    request = ASKED.model_copy(update={"max_tokens": 9})
    async with talking(answer, streamed(*HELLO)) as (chat, server):
        assert text(await deltas(chat, request)) == "hello"
        assert text(await deltas(chat, request)) == "hello"
    assert [body.get("max_completion_tokens") for body in server.asked] == [None, 9, 9]
    assert "max_tokens" not in server.asked[2]


async def test_completions_stream(talking: Talking) -> None:
    logprobs = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0, "b": -3.0}]}
    events = [
        {"choices": [{"text": "a", "logprobs": logprobs}]},
        {"choices": [{"text": "b", "finish_reason": "length"}]},
        usage(3, 2),
    ]
    async with talking(streamed(*events)) as (chat, server):
        request = CompletionRequest(prompt="x", max_tokens=2, logprobs=1)
        chunks = [chunk async for chunk in chat.complete(request)]
        with pytest.raises(InvalidRequest, match="plain text"):
            await anext(chat.complete(CompletionRequest(prompt="x", grammar="root ::= 'x'")))
    assert [chunk.text for chunk in chunks] == ["a", "b", ""]
    assert [other.text for other in chunks[0].logprobs[0].others] == ["a", "b"]
    assert chunks[-1].finish_reason == "length"
    assert chunks[-1].usage is not None and chunks[-1].usage.input == 3
    assert (server.paths, server.asked[0]["logprobs"]) == (["completions"], 1)


async def test_embeddings_are_put_in_order_and_to_length_one(talking: Talking) -> None:
    rows = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    good = JSONResponse({"data": rows, "usage": {"prompt_tokens": 4}})
    bad = JSONResponse({"data": [{"index": 0, "embedding": ["x"]}]})
    few = JSONResponse({"data": rows[:1]})
    async with talking(Response(status_code=500), good, bad, few) as (chat, _):
        found = await chat.embed(["a", "b"])
        assert found.vectors[0] == pytest.approx((0.6, 0.8))
        assert found.vectors[1] == pytest.approx((0.0, 1.0))
        assert found.tokens == 4
        with pytest.raises(ModelError, match="cannot be read"):
            await chat.embed(["a"])
        with pytest.raises(ModelError, match="1 embeddings of 2 texts"):
            await chat.embed(["a", "b"])


async def test_a_check_learns_the_context(talking: Talking) -> None:
    async with talking(streamed(*HELLO)) as (chat, server):
        await chat.check()
        assert chat.context == 4096
        server.models = Response(status_code=404)
        await chat.check()
        server.models = Response(status_code=401)
        with pytest.raises(ModelError, match="refuses the key"):
            await chat.check()


async def test_keys_are_in_no_log_and_no_text(talking: Talking, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with talking(Response("secret", status_code=500)) as (chat, server):
        server.url = server.url.replace("://", "://user:hidden@") + "?token=hidden"
        chat.endpoint.url = server.url
        with pytest.raises(ModelError) as caught:
            await deltas(chat)
        assert "hidden" not in str(caught.value)
        assert "secret-key" not in repr(chat.endpoint)
    assert "secret-key" not in caplog.text
    assert json.dumps(ASKED.model_dump()) not in caplog.text
