"""Chats over llama.cpp with a model that knows no tools: what obeys the schemas does so by the grammar."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.weights import smollm_gguf
from llmasos.models.catalog.profile import Profile, ToolFormat
from llmasos.models.chat.formats import FORMATS
from llmasos.models.chat.local import LocalChat
from llmasos.models.chat.port import ChatDelta, ChatMessage, ChatRequest, ChatTool
from llmasos.models.engines.llama import LlamaEngine
from llmasos.models.engines.port import InvalidRequest, LoadPlan

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

NAMED = {
    "type": "object",
    "properties": {"name": {"enum": ["Genf", "Bern"]}},
    "required": ["name"],
    "additionalProperties": False,
}
WEATHER = ChatTool(
    name="weather",
    description="Tell the weather.",
    parameters={
        "type": "object",
        "properties": {
            "place": NAMED,
            "unit": {"enum": ["C", "F"]},
            "days": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
        },
        "required": ["place", "unit", "days"],
    },
)
NOW = ChatTool(name="now", description="Tell the time.", parameters={"type": "object", "properties": {}})
ASKED = ChatRequest(
    messages=(ChatMessage(role="user", content="What is the weather in Bern?"),),
    tools=(WEATHER, NOW),
    temperature=0.0,
    max_tokens=90,
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory, model: Path) -> AsyncGenerator[LlamaEngine]:
    plan = LoadPlan(
        name="smollm",
        path=model,
        fingerprint="smollm",
        cache_dir=tmp_path_factory.mktemp("cache"),
        context=2048,
        slots=1,
        threads=1,
    )
    engine = await LlamaEngine.load(plan)
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
def model() -> Path:
    return smollm_gguf()


async def reply(chat: LocalChat, request: ChatRequest) -> tuple[str, list[tuple[str, Any]], ChatDelta]:
    deltas = [delta async for delta in chat.stream(request)]
    calls = [call for delta in deltas for call in delta.calls]
    names = [call.name for call in calls if call.name]
    arguments = ["".join(call.arguments for call in calls if call.index == at) for at in range(len(names))]
    found = [(name, json.loads(text)) for name, text in zip(names, arguments, strict=True)]
    return "".join(delta.text for delta in deltas), found, deltas[-1]


def obeys(arguments: dict[str, Any]) -> bool:
    return (
        arguments["place"] in ({"name": "Genf"}, {"name": "Bern"})
        and arguments["unit"] in ("C", "F")
        and 1 <= len(arguments["days"]) <= 3
        and all(isinstance(day, bool) for day in arguments["days"])
    )


@pytest.mark.parametrize("form", FORMATS)
async def test_forced_calls_obey_their_schemas(engine: LlamaEngine, form: ToolFormat) -> None:
    chat = LocalChat(engine, Profile(drive="native", tool_format=form))
    update = {"tool_choice": "required", "tool_named": "weather", "parallel_calls": False}
    text, calls, last = await reply(chat, ASKED.model_copy(update=update))
    assert text == ""
    ((name, arguments),) = calls
    assert name == "weather"
    assert obeys(arguments)
    assert last.finish_reason == "tool_calls"
    assert last.usage is not None and last.usage.output > 0


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("thinking", [None, ("<think>", "</think>")])
async def test_free_replies_are_text_or_whole_calls(
    engine: LlamaEngine, form: ToolFormat, thinking: tuple[str, str] | None
) -> None:
    chat = LocalChat(engine, Profile(drive="native", tool_format=form, thinking=thinking))
    text, calls, last = await reply(chat, ASKED.model_copy(update={"max_tokens": 8}))
    assert text or calls
    assert FORMATS[form].opening not in text
    assert last.finish_reason is not None


async def test_small_models_call_with_nested_arguments(engine: LlamaEngine) -> None:
    chat = LocalChat(engine, Profile(drive="calls"))
    update = {"tool_choice": "required", "tool_named": "weather"}
    _, ((name, arguments),), last = await reply(chat, ASKED.model_copy(update=update))
    assert name == "weather"
    assert obeys(arguments)
    assert last.finish_reason == "tool_calls"


@pytest.mark.parametrize("drive", ["calls", "native"])
async def test_text_obeys_its_schema_with_and_without_tools(engine: LlamaEngine, drive: Any) -> None:
    chat = LocalChat(engine, Profile(drive=drive, tool_format="hermes"))
    for tools in ((), (NOW,)):
        request = ASKED.model_copy(update={"tools": tools, "json_schema": NAMED, "parallel_calls": False})
        text, calls, _ = await reply(chat, request)
        assert calls or json.loads(text) in ({"name": "Genf"}, {"name": "Bern"})


async def test_stop_texts_and_logprobs_of_plain_chats(engine: LlamaEngine) -> None:
    chat = LocalChat(engine, Profile())
    plain = ASKED.model_copy(update={"tools": (), "max_tokens": 12})
    text, _, _ = await reply(chat, plain)
    middle = text[len(text) // 2 :][:3]
    cut, _, last = await reply(chat, plain.model_copy(update={"stop": (middle,)}))
    assert cut == text[: text.index(middle)]
    assert last.finish_reason == "stop"
    deltas = [delta async for delta in chat.stream(plain.model_copy(update={"logprobs": 2}))]
    tokens = [token for delta in deltas for token in delta.logprobs]
    assert b"".join(token.data for token in tokens).decode().startswith(text)
    assert all(token.logprob <= 0 and len(token.others) == 2 for token in tokens)


async def test_a_schema_that_cannot_be_read_is_refused_and_the_engine_lives(engine: LlamaEngine) -> None:
    chat = LocalChat(engine, Profile(drive="native", tool_format="hermes"))
    bad = ChatTool(name="bad", parameters={"type": "object", "properties": {"a": {"$ref": "#/none"}}})
    with pytest.raises(InvalidRequest):
        await reply(chat, ASKED.model_copy(update={"tools": (bad,)}))
    loop = ChatTool(name="loop", parameters={"$ref": "#"})
    with pytest.raises(InvalidRequest):
        await reply(chat, ASKED.model_copy(update={"tools": (loop,)}))
    assert (await reply(chat, ASKED.model_copy(update={"tools": (), "max_tokens": 4})))[0]
