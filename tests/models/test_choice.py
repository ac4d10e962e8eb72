"""How sure a model was of the tool that it named: from the tokens to the call that an agent makes."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from llmasos.events import ToolChoice
from llmasos.models import CallSyntaxModel, FakeEngine
from llmasos.models.catalog.profile import Profile
from llmasos.models.chat.local import LocalChat
from llmasos.models.chat.model import ChatModel
from llmasos.models.choice import choice_of, choose
from llmasos.models.engines.port import Chunk, CompletionRequest, TokenChoice

pytestmark = pytest.mark.anyio
TOOLS = ("read_file", "read_lines", "search", "write_file")


def token(text: str, logprob: float = -0.5, **others: float) -> TokenChoice:
    return TokenChoice(
        text=text,
        data=text.encode(),
        logprob=logprob,
        others=tuple(
            TokenChoice(text=other, data=other.encode(), logprob=odds) for other, odds in others.items()
        ),
    )


def test_the_tokens_of_the_name_are_multiplied_and_others_named() -> None:
    tokens = [
        token("read", -0.1, read=-0.1, search=-2.0, se=-4.0, Answer=-3.0, The=-1.0),
        token("_file", -0.2, _lines=-1.5, _=-6.0),
        token('("a")', -3.0, x=-0.1),
    ]
    choice = choose(tokens, 0, "read_file", TOOLS, "Answer: ")
    assert choice is not None
    assert choice.logprob == pytest.approx(-0.3)
    assert choice.alternatives == {
        "read_lines": pytest.approx(-1.6),
        "search": pytest.approx(math.log(math.exp(-2) + math.exp(-4))),
        "an answer": pytest.approx(-3.0),
    }
    assert "an answer" not in (choose(tokens, 0, "read_file", TOOLS) or choice).alternatives


def test_a_beginning_of_several_names_is_told_as_such() -> None:
    choice = choose([token("search", 0.0, read=-1.0)], 0, "search", TOOLS)
    assert choice == ToolChoice(logprob=0.0, alternatives={"read…": -1.0})


def test_a_name_inside_of_tokens_is_found_by_its_place() -> None:
    tokens = [
        token('{"name": '),
        token('"se', -0.25, **{'"write': -1.0, "search": -2.0}),
        token('arch",', -0.25),
    ]
    choice = choose(tokens, 10, "search", TOOLS)
    assert choice == ToolChoice(logprob=-0.5, alternatives={"write_file": -1.0})
    assert choose(tokens, 9, "search", TOOLS) is None
    assert choose([], 0, "search", TOOLS) is None


@given(
    st.lists(
        st.builds(
            TokenChoice,
            text=st.just(""),
            data=st.binary(max_size=4) | st.sampled_from([b"read", b"_file", b"se", b"arch", b"("]),
            logprob=st.floats(),
            others=st.lists(
                st.builds(TokenChoice, text=st.just(""), data=st.binary(max_size=3), logprob=st.floats()),
                max_size=3,
            ).map(tuple),
        ),
        max_size=6,
    ),
    st.integers(0, 9),
    st.sampled_from([*TOOLS, "工具", "\ud800", ""]),
)
def test_any_tokens_give_numbers_that_json_holds(tokens: list[TokenChoice], at: int, name: str) -> None:
    choice = choose(tokens, at, name, TOOLS, "Answer: ")
    if choice is not None:
        assert ToolChoice.model_validate_json(choice.model_dump_json()) == choice
        assert all(-9999 <= odds <= 0 for odds in (choice.logprob, *choice.alternatives.values()))


class SureEngine(FakeEngine):
    """Reports four characters as a token of the same probability, and `search` beside the first."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        async for chunk in super().stream(request):
            asked = request.logprobs is not None and chunk.text
            yield chunk.model_copy(
                update={"logprobs": (token(chunk.text, -0.5, sear=-2.0),) if asked else ()}
            )

    async def count(self, request: CompletionRequest) -> int:
        return 1


def definitions() -> list[ToolDefinition]:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    return [ToolDefinition(name=name, description="d", parameters_json_schema=schema) for name in TOOLS]


def native(replies: Sequence[str]) -> ChatModel:
    profile = Profile(drive="native", tool_format="hermes")
    return ChatModel(LocalChat(SureEngine(replies), profile))


CALL = 'read_file(path="a")'
OBJECT = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a"}}\n</tool_call>'


@pytest.mark.parametrize(
    "model", [CallSyntaxModel(SureEngine([CALL])), native([OBJECT])], ids=["calls", "native"]
)
async def test_a_call_says_how_sure_the_model_was(model: Model) -> None:
    asked: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("read a")])]
    parameters = ModelRequestParameters(function_tools=definitions())
    response = await model.request(asked, None, parameters)
    (call,) = [part for part in response.parts if isinstance(part, ToolCallPart)]
    choice = choice_of([*asked, response], call.tool_call_id)
    assert choice is not None and choice.logprob in (-1.5, -2.0)
    assert choice_of([*asked, response], "another") is None


async def test_what_runs_a_call_finds_it() -> None:
    found: list[ToolChoice | None] = []
    agent: Agent[None, str] = Agent(CallSyntaxModel(SureEngine(['look(path="a")', "Answer: done."])))

    @agent.tool
    async def look(ctx: RunContext[None], path: str) -> str:
        found.append(choice_of(ctx.messages, ctx.tool_call_id))
        return "fine"

    assert (await agent.run("look")).output == "done."
    assert [choice.logprob for choice in found if choice] == [-0.5]


async def test_a_part_without_it_or_with_something_else_tells_nothing() -> None:
    for details in (None, {}, {"choice": 7}, {"choice": {"logprob": "x"}}):
        part = ToolCallPart("t", {}, "1", provider_details=details)
        assert choice_of([ModelResponse(parts=[part])], "1") is None


async def test_engines_are_not_asked_where_nobody_wants_to_know() -> None:
    engine = SureEngine(["hello"])
    await CallSyntaxModel(engine).request(
        [ModelRequest(parts=[UserPromptPart("x")])], None, ModelRequestParameters()
    )
    assert engine.requests[0].logprobs is None
