"""Agents over a scripted chat."""

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from llmasos.errors import ModelError
from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.model import ChatModel
from llmasos.models.chat.port import ChatCall

pytestmark = pytest.mark.anyio

ADD = ToolDefinition(name="add", description="Add.", parameters_json_schema={"type": "object"})


async def test_an_agent_calls_tools_and_answers() -> None:
    chat = FakeChat([ChatCall(id="c1", name="add", arguments='{"x": 1, "y": 2}'), "It is 3."])
    agent = Agent(ChatModel(chat), instructions="Be brief.")

    @agent.tool_plain
    def add(x: int, y: int) -> int:
        """Add two numbers."""
        return x + y

    result = await agent.run("1 + 2?")
    assert result.output == "It is 3."
    assert result.usage.output_tokens > 0
    first, second = chat.requests
    assert [message.role for message in first.messages] == ["system", "user"]
    assert first.tools[0].name == "add"
    assert first.tools[0].parameters["required"] == ["x", "y"]
    assert second.messages[2].calls[0].arguments == '{"x":1,"y":2}'
    assert (second.messages[3].content, second.messages[3].call_id) == ("3", "c1")


async def test_structured_output_is_asked_for_by_its_schema() -> None:
    class City(BaseModel):
        name: str

    chat = FakeChat(['{"name": "Genf"}'])
    agent = Agent(ChatModel(chat), output_type=NativeOutput(City))
    assert (await agent.run("Where?")).output == City(name="Genf")
    schema = chat.requests[0].json_schema
    assert schema is not None and schema["properties"]["name"]["type"] == "string"


async def test_settings_and_several_calls_pass() -> None:
    calls = (ChatCall(id="a", name="add", arguments="{}"), ChatCall(id="b", name="add", arguments='{"x": 1}'))
    chat = FakeChat([calls])
    settings = ModelSettings(
        temperature=0.2, seed=3, stop_sequences=["x"], tool_choice="required", parallel_tool_calls=False
    )
    response = await model_request(
        ChatModel(chat),
        [ModelRequest.user_text_prompt("hi")],
        model_settings=settings,
        model_request_parameters=ModelRequestParameters(function_tools=[ADD]),
    )
    assert [(p.tool_call_id, p.args) for p in response.parts if isinstance(p, ToolCallPart)] == [
        ("a", "{}"),
        ("b", '{"x": 1}'),
    ]
    assert response.finish_reason == "tool_call"
    (sent,) = chat.requests
    assert (sent.temperature, sent.seed, sent.stop, sent.tool_choice) == (0.2, 3, ("x",), "required")
    assert not sent.parallel_calls


async def test_errors_of_the_chat_reach_the_caller() -> None:
    with pytest.raises(ModelError, match="broken"):
        await model_request(ChatModel(FakeChat([ModelError("broken")])), [ModelRequest.user_text_prompt("x")])
