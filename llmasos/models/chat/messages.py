"""Messages and tools in the words of OpenAI's API and of pydantic-ai."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition

from llmasos.models.calls.conversation import plain_text
from llmasos.models.chat.port import ChatCall, ChatMessage, ChatTool
from llmasos.models.engines.port import InvalidRequest
from llmasos.models.untrusted import read_json


def openai_messages(messages: Sequence[ChatMessage], *, parsed: bool = False) -> list[dict[str, Any]]:
    """Return messages as OpenAI's API has them.

    Args:
        messages: The conversation.
        parsed: Whether arguments of calls are objects, as chat templates want them, rather than JSON text.
    """
    return [_openai_message(message, parsed=parsed) for message in messages]


def openai_tools(tools: Sequence[ChatTool]) -> list[dict[str, Any]]:
    """Return tools as OpenAI's API has them."""
    return [{"type": "function", "function": tool.model_dump()} for tool in tools]


def _openai_message(message: ChatMessage, *, parsed: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        shown["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": arguments_of(call) if parsed else call.arguments,
                },
            }
            for call in message.calls
        ]
    if message.role == "tool":
        shown["tool_call_id"] = message.call_id
    return shown


def arguments_of(call: ChatCall) -> dict[str, Any]:
    """Return the arguments of a call in a conversation.

    Raises:
        InvalidRequest: They are no JSON object.
    """
    try:
        arguments = read_json(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise InvalidRequest(
            f"The arguments of the call {call.id} of {call.name} are no JSON object.",
            hint="Send the arguments as the model wrote them.",
        )
    return arguments


def agent_messages(messages: Sequence[ChatMessage]) -> list[ModelMessage]:
    """Return a conversation as pydantic-ai has it; what the system says goes with every request.

    Raises:
        InvalidRequest: A result has no call, or arguments are no JSON object.
    """
    system = "\n\n".join(message.content for message in messages if message.role == "system") or None
    names: dict[str, str] = {}
    found: list[ModelMessage] = []
    for message in messages:
        if message.role == "assistant":
            parts: list[ModelResponsePart] = [TextPart(message.content)] if message.content else []
            for call in message.calls:
                names[call.id] = call.name
                parts.append(ToolCallPart(call.name, arguments_of(call), tool_call_id=call.id))
            found.append(ModelResponse(parts=parts))
        elif message.role == "tool":
            if message.call_id not in names:
                raise InvalidRequest(
                    f"There is a result of the call {message.call_id!r}, which is not in the conversation.",
                    hint="Send the assistant's message with the call before its result.",
                )
            result = ToolReturnPart(names[message.call_id], message.content, tool_call_id=message.call_id)
            found.append(ModelRequest(parts=[result], instructions=system))
        elif message.role == "user":
            found.append(ModelRequest(parts=[UserPromptPart(message.content)], instructions=system))
    return found


def agent_tools(tools: Sequence[ChatTool]) -> list[ToolDefinition]:
    """Return tools as pydantic-ai has them."""
    return [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=tool.parameters)
        for tool in tools
    ]


def chat_messages(messages: Sequence[ModelMessage]) -> tuple[ChatMessage, ...]:
    """Return a conversation of pydantic-ai's as messages; what a model thought is left out.

    Raises:
        InvalidRequest: It holds what is no text.
    """
    found: list[ChatMessage] = []
    instructions = next((m.instructions for m in reversed(messages) if isinstance(m, ModelRequest)), None)
    if instructions:
        found.append(ChatMessage(role="system", content=instructions))
    for message in messages:
        if isinstance(message, ModelResponse):
            found.append(_reply(message))
        else:
            found += [_request(part) for part in message.parts]
    return tuple(found)


def chat_tools(tools: Sequence[ToolDefinition]) -> tuple[ChatTool, ...]:
    """Return pydantic-ai's tools as ours."""
    return tuple(
        ChatTool(name=tool.name, description=tool.description or "", parameters=tool.parameters_json_schema)
        for tool in tools
    )


def _reply(message: ModelResponse) -> ChatMessage:
    return ChatMessage(
        role="assistant",
        content="".join(part.content for part in message.parts if isinstance(part, TextPart)),
        calls=tuple(
            ChatCall(id=part.tool_call_id, name=part.tool_name, arguments=part.args_as_json_str())
            for part in message.parts
            if isinstance(part, ToolCallPart)
        ),
    )


def _request(part: ModelRequestPart) -> ChatMessage:
    if isinstance(part, SystemPromptPart):
        return ChatMessage(role="system", content=part.content)
    if isinstance(part, UserPromptPart):
        return ChatMessage(role="user", content=plain_text(part.content))
    if part.part_kind == "tool-return":
        return ChatMessage(role="tool", content=part.model_response_str(), call_id=part.tool_call_id)
    if part.part_kind == "retry-prompt":
        if part.tool_name is None:
            return ChatMessage(role="user", content=part.model_response())
        return ChatMessage(role="tool", content=part.model_response(), call_id=part.tool_call_id)
    raise InvalidRequest(f"The model cannot be told a part of the kind {part.part_kind}.")
