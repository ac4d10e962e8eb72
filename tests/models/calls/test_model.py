"""The call-syntax model over a fake engine."""

import anyio
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters

from benchmarks.model_tools import tools
from llmasos.errors import ModelError
from llmasos.models import CallSyntaxModel, ContextExceeded, FakeEngine

pytestmark = pytest.mark.anyio


def ask(text: str) -> list[ModelMessage]:
    return [ModelRequest(parts=[UserPromptPart(text)])]


def offered() -> ModelRequestParameters:
    return ModelRequestParameters(function_tools=tools())


async def test_an_answer_is_streamed_without_its_mark() -> None:
    model = CallSyntaxModel(FakeEngine(["Answer: 一共 12 行。"]))
    events = []
    async with model.request_stream(ask("几行？"), None, offered()) as stream:
        async for event in stream:
            events.append(event)
    assert stream.get().parts == [TextPart("一共 12 行。")]
    assert len(events) > 3
    assert stream.get().usage.output_tokens > 0


async def test_a_call_becomes_a_tool_call() -> None:
    model = CallSyntaxModel(FakeEngine(['write_file(path="a.md")\n```\n# A\n```']))
    response = await model.request(ask("write"), None, offered())
    (part,) = response.parts
    assert isinstance(part, ToolCallPart)
    assert part.args_as_dict() == {"path": "a.md", "content": "# A\n"}


async def test_code_that_does_not_compile_is_repaired_once() -> None:
    engine = FakeEngine(["run_python\n```python\nprint(1\n```", "run_python\n```python\nprint(1)\n```"])
    response = await CallSyntaxModel(engine).request(ask("one"), None, offered())
    assert isinstance(response.parts[0], ToolCallPart)
    assert response.parts[0].args_as_dict() == {"code": "print(1)\n"}
    assert "does not compile in line 1" in engine.requests[1].turns[-1].content


async def test_a_script_is_called_with_the_imports_that_it_forgot() -> None:
    engine = FakeEngine(["run_python\n```python\nprint(Path('.'))\n```"])
    response = await CallSyntaxModel(engine).request(ask("one"), None, offered())
    assert isinstance(response.parts[0], ToolCallPart)
    assert response.parts[0].args_as_dict() == {"code": "from pathlib import Path\nprint(Path('.'))\n"}


async def test_nonsense_twice_is_an_error_a_person_can_read() -> None:
    model = CallSyntaxModel(FakeEngine(["blah", "blah"]))
    with pytest.raises(ModelError, match="no usable reply"):
        await model.request(ask("x"), None, offered())


async def test_endless_text_is_stopped() -> None:
    engine = FakeEngine(["Answer: " + "and again " * 5000])
    response = await CallSyntaxModel(engine).request(ask("x"), None, offered())
    assert response.finish_reason == "length"
    assert engine.stopped == 1
    assert len(str(response.parts[0].content)) < 500  # type: ignore[union-attr]


async def test_endless_blanks_in_a_call_are_retried_with_a_penalty() -> None:
    engine = FakeEngine(["run_python\n```python\n" + " " * 4000, "Answer: ok"])
    response = await CallSyntaxModel(engine).request(ask("x"), None, offered())
    assert response.parts == [TextPart("ok")]
    assert engine.requests[0].repeat_penalty == 1.0 < engine.requests[1].repeat_penalty


async def test_a_conversation_that_was_estimated_too_short_is_cut_further() -> None:
    engine = FakeEngine([ContextExceeded("too long"), "Answer: ok"])
    response = await CallSyntaxModel(engine).request(ask("x"), None, offered())
    assert response.parts == [TextPart("ok")]


async def test_a_context_that_the_tools_fill_is_not_blamed_on_the_request() -> None:
    with pytest.raises(ContextExceeded, match="2,048 tokens in view") as caught:
        await CallSyntaxModel(FakeEngine(["Answer: ok"], context=2048)).request(ask("x"), None, offered())
    assert "LLMASOS_MODELS__MEMORY_MB" in caught.value.hint


async def test_cancelling_stops_the_engine() -> None:
    engine = FakeEngine(["Answer: " + "".join(f"{number} " for number in range(5000))])
    with anyio.CancelScope() as scope:
        async with CallSyntaxModel(engine).request_stream(ask("count"), None, offered()) as stream:
            async for _ in stream:
                scope.cancel()
    assert engine.stopped == 1


async def test_the_prefix_does_not_depend_on_request_or_instructions() -> None:
    engine = FakeEngine(["Answer: a", "Answer: b"])
    model = CallSyntaxModel(engine)
    await model.request(ask("one"), None, offered())
    await model.request(
        [ModelRequest(parts=[UserPromptPart("two")], instructions="be kind")], None, offered()
    )
    first, second = engine.requests
    assert first.turns[: first.prefix] == second.turns[: second.prefix]
    assert "be kind" in second.turns[second.prefix].content


async def test_an_agent_runs_tools_through_it() -> None:
    agent = Agent(CallSyntaxModel(FakeEngine(["double(n=21)", "Answer: It is 42."])))

    @agent.tool_plain
    def double(n: int) -> int:
        """Double a number."""
        return 2 * n

    result = await agent.run("double 21")
    assert result.output == "It is 42."


async def test_wrong_arguments_are_told_to_the_model() -> None:
    engine = FakeEngine(['double(n="x")', "double(n=2)", "Answer: 4"])
    agent = Agent(CallSyntaxModel(engine))

    @agent.tool_plain
    def double(n: int) -> int:
        """Double a number."""
        return 2 * n

    assert (await agent.run("double 2")).output == "4"
    assert "[result of double]" in engine.requests[1].turns[-1].content
