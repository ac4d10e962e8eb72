"""The body of a chat completion, and what it asks of a chat."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llmasos.models.chat.port import ChatCall, ChatMessage, ChatRequest
from llmasos.service.openai.conversation import (
    Choosing,
    Function,
    SchemaFormat,
    check_calls,
    check_schemas,
    chosen,
)
from llmasos.service.openai.errors import invalid
from llmasos.service.openai.sampling import SamplingFields
from llmasos.service.openai.wire import MOST_MESSAGES, MOST_TOOLS, Content, Ignored, Name, Wire

_ROLES: dict[str, Literal["system", "user", "assistant", "tool"]] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


class CalledFunction(Wire):
    """A function with its arguments as JSON text."""

    name: str = Field(min_length=1, max_length=200)
    arguments: str


class ToolCall(Wire):
    """A call in an assistant's message."""

    id: str = Field(min_length=1, max_length=200)
    type: Literal["function"] = "function"
    function: CalledFunction
    index: Ignored = None


class Message(BaseModel):
    """A message; clients send back all that a reply's message had."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Content | None = None
    tool_calls: list[ToolCall] | None = Field(None, max_length=MOST_TOOLS)
    tool_call_id: str | None = None
    refusal: str | None = None

    @property
    def message(self) -> ChatMessage:
        """The message as the chat knows it."""
        calls = tuple(
            ChatCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in self.tool_calls or ()
        )
        return ChatMessage(
            role=_ROLES[self.role],
            content=self.content if self.content is not None else self.refusal or "",
            calls=calls,
            call_id=self.tool_call_id or "",
        )


class Tool(Wire):
    """A tool; those that run at OpenAI are not to be had here."""

    type: Literal["function"]
    function: Function


class NamedTool(Wire):
    """The name of a tool."""

    name: Name


class NamedChoice(Wire):
    """The one tool that must be called, or one of those that may be."""

    type: Literal["function"]
    function: NamedTool


class AllowedTools(Wire):
    """Some of the tools."""

    mode: Literal["auto", "required"]
    tools: list[NamedChoice] = Field(min_length=1, max_length=MOST_TOOLS)


class ToolChoice(Wire):
    """Whether and which tools must be called, as one object."""

    type: Literal["none", "auto", "required", "function", "allowed_tools"]
    function: NamedTool | None = None
    allowed_tools: AllowedTools | None = None


def _as_object(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class ResponseFormat(Wire):
    """What the reply's text looks like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaFormat | None = None


class ChatBody(SamplingFields):
    """The body of `POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    tools: list[Tool] = Field([], max_length=MOST_TOOLS)
    tool_choice: Annotated[
        ToolChoice, BeforeValidator(_as_object, json_schema_input_type=Choosing | ToolChoice)
    ] = ToolChoice(type="auto")
    parallel_tool_calls: bool = True
    response_format: ResponseFormat = ResponseFormat(type="text")
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=20)
    max_tokens: int | None = Field(None, ge=1, le=2**31)
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31)
    modalities: list[Literal["text"]] | None = None
    metadata: Ignored = None
    store: Ignored = None
    service_tier: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    prediction: Ignored = None
    reasoning_effort: Ignored = None
    verbosity: Ignored = None

    def requests(self) -> list[ChatRequest]:
        """Return what each of the `n` replies asks of the chat.

        Raises:
            ApiError: The parameters do not go together.
        """
        if self.top_logprobs and not self.logprobs:
            raise invalid("`top_logprobs` needs `logprobs`.", "top_logprobs", code="invalid_value")
        if self.stream_options is not None and not self.stream:
            raise invalid("`stream_options` needs `stream`.", "stream_options", code="invalid_value")
        messages = tuple(message.message for message in self.messages)
        for index, message in enumerate(self.messages):
            _check_role(message, f"messages[{index}]")
        check_calls(messages, "messages")
        request = ChatRequest(
            **self.sampling(),
            **self._tools(),
            messages=messages,
            temperature=self.temperature,
            parallel_calls=self.parallel_tool_calls,
            json_schema=self._schema(),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            logprobs=self.top_logprobs if self.logprobs else None,
        )
        return [request.model_copy(update={"seed": seed}) for seed in self.seeds]

    def _tools(self) -> dict[str, Any]:
        tools = [tool.function.tool for tool in self.tools]
        choice = self.tool_choice
        match choice.type:
            case "function":
                if choice.function is None:
                    raise _incomplete("tool_choice.function")
                return chosen(tools, "required", choice.function.name)
            case "allowed_tools":
                if choice.allowed_tools is None:
                    raise _incomplete("tool_choice.allowed_tools")
                among = [tool.function.name for tool in choice.allowed_tools.tools]
                return chosen(tools, choice.allowed_tools.mode, among=among)
        plain: Choosing = choice.type
        return chosen(tools, plain)

    def _schema(self) -> dict[str, Any] | None:
        form = self.response_format
        if form.type == "text":
            return None
        if form.type == "json_object":
            return {}
        if form.json_schema is None:
            raise _incomplete("response_format.json_schema")
        check_schemas([form.json_schema.schema_], "response_format.json_schema.schema")
        return form.json_schema.schema_


def _check_role(message: Message, param: str) -> None:
    if message.tool_calls and message.role != "assistant":
        raise invalid("Only an assistant makes calls.", f"{param}.tool_calls", code="invalid_value")
    if message.role == "tool" and not message.tool_call_id:
        raise _incomplete(f"{param}.tool_call_id")
    if message.content is None and not message.tool_calls and message.refusal is None:
        raise _incomplete(f"{param}.content")


def _incomplete(param: str) -> Exception:
    return invalid(f"The parameter {param!r} is missing.", param, code="missing_required_parameter")
