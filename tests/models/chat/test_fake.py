"""The scripted chat."""

import pytest

from llmasos.errors import ModelError
from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import ChatCall, ChatDelta, ChatMessage, ChatRequest
from llmasos.models.engines.port import CompletionRequest

pytestmark = pytest.mark.anyio

ASKED = ChatRequest(messages=(ChatMessage(role="user", content="hi"),))


async def replies(chat: FakeChat, request: ChatRequest = ASKED) -> list[ChatDelta]:
    return [delta async for delta in chat.stream(request)]


async def test_texts_come_in_pieces_with_an_end() -> None:
    chat = FakeChat(["hello there"])
    deltas = await replies(chat)
    assert [delta.text for delta in deltas] == ["hell", "o th", "ere", ""]
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].usage is not None
    assert (deltas[-1].usage.input, deltas[-1].usage.output) == (2, 3)
    assert chat.requests == [ASKED]


async def test_texts_are_cut_at_the_bound() -> None:
    deltas = await replies(FakeChat(["hello there"]), ASKED.model_copy(update={"max_tokens": 1}))
    assert "".join(delta.text for delta in deltas) == "hell"
    assert deltas[-1].finish_reason == "length"


async def test_calls_name_themselves_first() -> None:
    one = ChatCall(id="a", name="add", arguments='{"x": 1}')
    deltas = await replies(FakeChat([(one, ChatCall(id="b", name="sub", arguments="{}"))]))
    calls = [call for delta in deltas for call in delta.calls]
    assert [(call.index, call.id, call.name) for call in calls if call.id] == [
        (0, "a", "add"),
        (1, "b", "sub"),
    ]
    assert "".join(call.arguments for call in calls if call.index == 0) == one.arguments
    assert deltas[-1].finish_reason == "tool_calls"


async def test_errors_are_raised_and_the_script_ends() -> None:
    chat = FakeChat([ModelError("broken")])
    with pytest.raises(ModelError, match="broken"):
        await replies(chat)
    with pytest.raises(ModelError, match="no reply left"):
        await replies(chat)


async def test_a_reader_that_leaves_is_noticed() -> None:
    chat = FakeChat(["hello there"])
    stream = chat.stream(ASKED)
    await anext(stream)
    await stream.aclose()
    assert chat.stopped == 1


async def test_completions_and_embeddings() -> None:
    chat = FakeChat(["abcdefgh"])
    chunks = [chunk async for chunk in chat.complete(CompletionRequest(prompt="x", max_tokens=1))]
    assert "".join(chunk.text for chunk in chunks) == "abcd"
    assert chunks[-1].finish_reason == "length"
    assert (await chat.embed(["a", "bb"])).vectors == ((1.0, 0.0), (0.0, 1.0))
    assert chat.embedded == [("a", "bb")]
