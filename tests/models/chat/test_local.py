"""Chats over a scripted engine."""

import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

import pytest

from llmasos.errors import ModelError
from llmasos.models.catalog.profile import Profile
from llmasos.models.chat.local import LocalChat
from llmasos.models.chat.port import ChatCall, ChatDelta, ChatMessage, ChatRequest, ChatTool
from llmasos.models.engines.fake import FakeEngine
from llmasos.models.engines.port import Chunk, CompletionRequest, InvalidRequest
from tests.models.grammars import accepts

pytestmark = pytest.mark.anyio

SMALL = Profile(family="qwen2.5", drive="calls", tool_format="hermes")
LARGE = Profile(family="qwen2.5", drive="native", tool_format="hermes")
THINKS = Profile(family="qwen3", drive="native", tool_format="hermes", thinking=("<think>", "</think>"))
WEATHER = ChatTool(
    name="weather",
    description="Tell the weather.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
NOW = ChatTool(name="now", description="Tell the time.", parameters={"type": "object", "properties": {}})


def asked(text: str = "hi", **given: Any) -> ChatRequest:
    return ChatRequest(**({"messages": (ChatMessage(role="user", content=text),)} | given))


async def reply(chat: LocalChat, request: ChatRequest) -> tuple[str, list[tuple[str, Any]], ChatDelta]:
    """Return the text, the calls and the last delta of a reply."""
    deltas = [delta async for delta in chat.stream(request)]
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for call in (call for delta in deltas for call in delta.calls):
        names[call.index] = names.get(call.index, "") + call.name
        arguments[call.index] = arguments.get(call.index, "") + call.arguments
    calls = [(names[index], json.loads(arguments[index])) for index in names]
    return "".join(delta.text for delta in deltas), calls, deltas[-1]


class TemplateEngine(FakeEngine):
    """Keeps what was rendered, and can begin a thought."""

    def __init__(self, replies: Iterable[str | Exception], *, ends: str = "", **given: Any) -> None:
        super().__init__(replies, **given)
        self.rendered: list[tuple[Any, Any]] = []
        self._ends = ends

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        self.rendered.append((list(messages), list(tools)))
        return await super().render(messages, tools) + self._ends


async def test_plain_chats_are_turns_with_all_that_was_asked() -> None:
    engine = FakeEngine(["hello"])
    request = asked(temperature=0.5, top_p=0.9, seed=7, stop=("x",), logprobs=2, max_tokens=9)
    text, _, last = await reply(LocalChat(engine, LARGE), request)
    assert (text, last.finish_reason) == ("hello", "stop")
    (sent,) = engine.requests
    assert [(turn.role, turn.content) for turn in sent.turns] == [("user", "hi")]
    assert (sent.temperature, sent.top_p, sent.seed, sent.stop, sent.logprobs) == (0.5, 0.9, 7, ("x",), 2)
    assert sent.max_tokens == 9


async def test_what_was_not_asked_is_the_models_own() -> None:
    engine = FakeEngine(["a", "b"], context=100)
    chat = LocalChat(engine, Profile(temperature=0.6, top_p=0.8, top_k=20))
    await reply(chat, asked())
    await reply(chat, asked(top_p=1.0, max_tokens=1000))
    assert (engine.requests[0].temperature, engine.requests[0].top_p, engine.requests[0].top_k) == (
        0.6,
        0.8,
        20,
    )
    assert engine.requests[0].max_tokens == 98
    assert engine.requests[1].top_p == 1.0
    assert engine.requests[1].max_tokens == 98


@pytest.mark.parametrize(
    ("schema", "sent"), [({}, {"type": "object"}), ({"type": "array"}, {"type": "array"})]
)
async def test_schemas_reach_the_engine(schema: dict[str, Any], sent: dict[str, Any]) -> None:
    engine = FakeEngine(["{}"])
    await reply(LocalChat(engine, LARGE), asked(json_schema=schema))
    assert json.loads(engine.requests[0].json_schema) == sent


async def test_a_cut_reply_is_an_error() -> None:
    with pytest.raises(ModelError, match="cut short"):
        await reply(LocalChat(FakeEngine(["hello"], finish_reason=None), LARGE), asked())


@pytest.mark.parametrize("profile", [SMALL, LARGE])
async def test_a_reader_that_leaves_stops_the_engine(profile: Profile) -> None:
    for tools in ((), (WEATHER,)):
        engine = FakeEngine(["Answer: hello there, how are you?"])
        stream = LocalChat(engine, profile).stream(asked(tools=tools))
        await anext(stream)
        await stream.aclose()
        assert engine.stopped == 1


async def test_small_models_call_in_call_syntax() -> None:
    engine = FakeEngine(['weather(city="Genf")'])
    text, calls, last = await reply(LocalChat(engine, SMALL), asked("Is it raining?", tools=(WEATHER, NOW)))
    assert (text, calls, last.finish_reason) == ("", [("weather", {"city": "Genf"})], "tool_calls")
    # The tools of a program may be its secret.
    assert engine.requests[0].prefix and not engine.requests[0].public
    assert last.usage is not None and last.usage.input > 0


async def test_small_models_answer_and_stop_where_asked() -> None:
    engine = FakeEngine(["Answer: one two three"])
    text, calls, last = await reply(LocalChat(engine, SMALL), asked(tools=(WEATHER,), stop=("tw",)))
    assert (text, calls, last.finish_reason) == ("one ", [], "stop")


class CutEngine(FakeEngine):
    """Has written as much as it may when its replies end."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        async for chunk in super().stream(request):
            yield chunk.model_copy(update={"finish_reason": chunk.finish_reason and "length"})


async def test_a_call_that_the_bound_of_tokens_cuts_off_is_none_and_is_not_tried_again() -> None:
    engine = CutEngine(['weather(city="Gen'])
    text, calls, last = await reply(LocalChat(engine, SMALL), asked(tools=(WEATHER,), max_tokens=4))
    assert (text, calls, last.finish_reason) == ("", [], "length")
    assert len(engine.requests) == 1


@pytest.mark.parametrize(
    ("choice", "right", "wrong"),
    [
        ({"tool_choice": "required"}, "now()", "Answer: x"),
        ({"tool_choice": "required", "tool_named": "now"}, "now()", 'weather(city="x")'),
        # A request that speaks of files forces nothing: the tools are not known to read any.
        ({}, "Answer: x", "other()"),
    ],
)
async def test_small_models_have_the_choice_they_are_given(
    choice: dict[str, Any], right: str, wrong: str
) -> None:
    engine = FakeEngine([right])
    await reply(LocalChat(engine, SMALL), asked("What is a README.md file?", tools=(WEATHER, NOW), **choice))
    (sent,) = engine.requests
    assert accepts(sent.grammar, right)
    assert not accepts(sent.grammar, wrong)


async def test_no_choice_is_a_plain_chat() -> None:
    engine = FakeEngine(["hello"])
    text, _, _ = await reply(LocalChat(engine, SMALL), asked(tools=(WEATHER,), tool_choice="none"))
    assert text == "hello"
    assert not engine.requests[0].grammar


HISTORY = (
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", content="Rain?"),
    ChatMessage(role="assistant", calls=(ChatCall(id="c1", name="weather", arguments='{"city": "Genf"}'),)),
    ChatMessage(role="tool", content="sunny", call_id="c1"),
)


@pytest.mark.parametrize("tools", [(), (WEATHER,)])
async def test_small_models_are_shown_results_as_call_syntax(tools: tuple[ChatTool, ...]) -> None:
    engine = FakeEngine(["Answer: No." if tools else "No."])
    text, _, _ = await reply(LocalChat(engine, SMALL), ChatRequest(messages=HISTORY, tools=tools))
    assert text == "No."
    told = "\n".join(turn.content for turn in engine.requests[0].turns)
    assert 'weather(city="Genf")' in told
    assert "[result of weather]\nsunny" in told
    assert "Be brief." in told


async def test_large_models_are_shown_results_by_their_template() -> None:
    engine = TemplateEngine(["No."])
    await reply(LocalChat(engine, LARGE), ChatRequest(messages=HISTORY, tools=(WEATHER,)))
    ((messages, tools),) = engine.rendered
    assert messages[2]["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Genf"}}
    assert messages[3]["tool_call_id"] == "c1"
    assert tools[0]["function"]["name"] == "weather"


@pytest.mark.parametrize("profile", [SMALL, LARGE])
@pytest.mark.parametrize(
    "messages",
    [
        (ChatMessage(role="assistant", calls=(ChatCall(id="c", name="weather", arguments="no json"),)),),
        (ChatMessage(role="assistant", calls=(ChatCall(id="c", name="weather", arguments="[1]"),)),),
    ],
)
async def test_histories_that_cannot_be_read_are_refused(
    profile: Profile, messages: tuple[ChatMessage, ...]
) -> None:
    with pytest.raises(InvalidRequest, match="no JSON object"):
        await reply(LocalChat(FakeEngine([]), profile), ChatRequest(messages=messages, tools=(WEATHER,)))


async def test_large_models_stream_text_and_calls() -> None:
    call = '{"name": "weather", "arguments": {"city": "Genf"}}'
    engine = FakeEngine([f"I look.\n<tool_call>\n{call}\n</tool_call>\n<tool_call>\n{call}\n</tool_call>"])
    text, calls, last = await reply(LocalChat(engine, LARGE), asked(tools=(WEATHER,)))
    assert text == "I look."
    assert calls == [("weather", {"city": "Genf"})] * 2
    assert last.finish_reason == "tool_calls"
    assert accepts(engine.requests[0].grammar, f"<tool_call>\n{call}\n</tool_call>")


async def test_large_models_are_made_to_call() -> None:
    engine = FakeEngine(['\n{"name": "now", "arguments": {}}\n</tool_call>'])
    request = asked(tools=(WEATHER, NOW), tool_choice="required", tool_named="now", parallel_calls=False)
    _, calls, _ = await reply(LocalChat(engine, LARGE), request)
    assert calls == [("now", {})]
    (sent,) = engine.requests
    assert sent.prompt.endswith("<tool_call>")
    assert not accepts(sent.grammar, '\n{"name": "weather", "arguments": {"city": "x"}}\n</tool_call>')


async def test_stop_texts_end_the_text_of_large_models_and_leave_calls_alone() -> None:
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Genf"}}\n</tool_call>'
    chat = LocalChat(FakeEngine([f"a b {call}", "one two"]), LARGE)
    _, calls, _ = await reply(chat, asked(tools=(WEATHER,), stop=("Genf",)))
    assert calls == [("weather", {"city": "Genf"})]
    text, _, last = await reply(chat, asked(tools=(WEATHER,), stop=("tw",)))
    assert (text, last.finish_reason) == ("one ", "stop")
    assert last.usage is not None and last.usage.input > 0


@pytest.mark.parametrize("tools", [(), (WEATHER,)])
@pytest.mark.parametrize(
    ("ends", "reply_text"), [("", "<think>well</think>\n\nhi"), ("<think>\n", "well</think>hi")]
)
async def test_thoughts_are_no_content(tools: tuple[ChatTool, ...], ends: str, reply_text: str) -> None:
    engine = TemplateEngine([reply_text], ends=ends)
    text, _, _ = await reply(LocalChat(engine, THINKS), asked(tools=tools))
    assert text == "hi"
    assert "prompt" in engine.requests[0].model_fields_set


async def test_a_forced_call_ends_the_thought_that_the_template_began() -> None:
    engine = TemplateEngine(['{"name": "now", "arguments": {}}</tool_call>'], ends="<think>\n")
    _, calls, _ = await reply(LocalChat(engine, THINKS), asked(tools=(NOW,), tool_choice="required"))
    assert calls == [("now", {})]
    assert engine.requests[0].prompt.endswith("<think>\n</think>\n\n<tool_call>")


@pytest.mark.parametrize(
    "tool",
    [
        ChatTool(name="free", parameters={"type": "object", "additionalProperties": {"type": "integer"}}),
        ChatTool(name="odd", parameters={"type": "object", "properties": {"a b": {"type": "integer"}}}),
        ChatTool(name="either", parameters={"anyOf": [{"properties": {"x": {"type": "integer"}}}]}),
    ],
)
async def test_what_call_syntax_has_no_form_for_is_called_in_json(tool: ChatTool) -> None:
    key = {"free": "n", "odd": "a b", "either": "x"}[tool.name]
    call = f'<tool_call>{{"name": "{tool.name}", "arguments": {{"{key}": 1}}}}</tool_call>'
    engine = FakeEngine([call])
    _, calls, _ = await reply(LocalChat(engine, SMALL), asked(tools=(tool,)))
    assert calls == [(tool.name, {key: 1})]
    assert accepts(engine.requests[0].grammar, call)
    assert not accepts(engine.requests[0].grammar, call.replace(": 1", ': "x"'))


async def test_logprobs_beside_tools_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="Log-probabilities"):
        await reply(LocalChat(FakeEngine([]), LARGE), asked(tools=(WEATHER,), logprobs=1))


async def test_a_tool_that_is_named_has_to_be_offered() -> None:
    request = asked(tools=(WEATHER,), tool_choice="required", tool_named="other")
    with pytest.raises(InvalidRequest, match="'other' is to be called"):
        await reply(LocalChat(FakeEngine([]), LARGE), request)


@pytest.mark.parametrize("profile", [SMALL, LARGE])
@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}, "b": 3}},
        {"type": "object", "properties": {"a": {"enum": 3}}},
        {"type": "object", "properties": {"a": {"anyOf": 3}}},
        {"type": "object", "properties": {"a": {"type": "array", "minItems": "x"}}},
        {"type": "object", "properties": {"a": {}}, "required": 3},
        {"properties": 3},
    ],
)
async def test_bad_schemas_of_tools_are_refused(profile: Profile, parameters: dict[str, Any]) -> None:
    bad = ChatTool(name="bad", parameters=parameters)
    with pytest.raises(InvalidRequest, match="schema"):
        await reply(LocalChat(FakeEngine(["x"]), profile), asked(tools=(bad,)))


async def test_completions_are_bounded_by_the_context_and_embeddings_pass() -> None:
    engine = FakeEngine(["more"], context=50)
    chat = LocalChat(engine, LARGE)
    chunks = [chunk async for chunk in chat.complete(CompletionRequest(prompt="abc", max_tokens=999))]
    assert "".join(chunk.text for chunk in chunks) == "more"
    assert engine.requests[0].max_tokens == 47
    assert (await chat.embed(["a"])).vectors == ((1.0, 0.0),)
    assert (chat.name, chat.context) == ("fake", 50)
