"""The body of a request for a response, and what it asks of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from llmasos.models.chat.port import ChatRequest
from llmasos.service.openai.chat_body import NamedTool
from llmasos.service.openai.conversation import Choosing, Function, check_schemas, chosen
from llmasos.service.openai.endpoint import Json
from llmasos.service.openai.errors import invalid
from llmasos.service.openai.responses.items import Item, check_items, conversation
from llmasos.service.openai.sampling import StreamOptions, likely
from llmasos.service.openai.wire import MOST_MESSAGES, MOST_TOOLS, Ignored, JsonObject, Name, Wire

T = TypeVar("T")

LOGPROBS = "message.output_text.logprobs"


class FunctionTool(Function):
    """A tool; those that run at OpenAI are not to be had here."""

    type: Literal["function"]


class ChosenTool(NamedTool):
    """The one tool that must be called, or one of those that may be."""

    type: Literal["function"]


class ToolChoice(Wire):
    """Whether and which tools must be called."""

    type: Literal["none", "auto", "required", "function", "allowed_tools"]
    name: Name | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[ChosenTool] = Field([], max_length=MOST_TOOLS)

    def shown(self) -> Json:
        """Return a choice among tools as a response repeats it."""
        names = {"name"} if self.type == "function" else {"mode", "tools"}
        return self.model_dump(include={"type", *names})


class PlainFormat(Wire):
    """Text that is free, or any JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    name: Name | None = None
    description: Ignored = None
    schema_: JsonObject | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptions(Wire):
    """What the reply's text looks like."""

    format: PlainFormat = PlainFormat(type="text")
    verbosity: Ignored = None


def _as_items(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def _as_choice(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class ResponseBody(Wire):
    """The body of `POST /v1/responses`."""

    model: str = Field(min_length=1)
    input: Annotated[list[Item], BeforeValidator(_as_items, json_schema_input_type=str | list[Item])] = Field(
        min_length=1, max_length=MOST_MESSAGES
    )
    instructions: str | None = None
    previous_response_id: str | None = Field(None, max_length=100)
    store: bool = True
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: list[FunctionTool] = Field([], max_length=MOST_TOOLS)
    tool_choice: Annotated[
        ToolChoice, BeforeValidator(_as_choice, json_schema_input_type=Choosing | ToolChoice)
    ] = ToolChoice(type="auto")
    parallel_tool_calls: bool = True
    text: TextOptions = TextOptions()
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float = Field(1.0, ge=0, le=1)
    top_logprobs: int = Field(0, ge=0, le=20)
    max_output_tokens: int | None = Field(None, ge=1, le=2**31)
    metadata: dict[str, str] = Field({}, max_length=16)
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] = Field([])
    truncation: Literal["disabled"] = "disabled"
    background: Literal[False] = False
    max_tool_calls: Ignored = None
    reasoning: Ignored = None
    user: Ignored = None
    service_tier: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None

    def request(self, before: Sequence[Item]) -> ChatRequest:
        """Return what is asked of the chat.

        Args:
            before: What was said before, from `previous_response_id`.

        Raises:
            ApiError: The parameters do not go together.
        """
        check_items(self.input)
        logprobs = self.top_logprobs if self.top_logprobs or LOGPROBS in self.include else None
        said = {"top_p": likely(self.top_p)} if "top_p" in self.model_fields_set else {}
        return ChatRequest(
            **said,
            **self._tools(),
            messages=conversation(self.instructions, [*before, *self.input]),
            temperature=self.temperature,
            parallel_calls=self.parallel_tool_calls,
            json_schema=self._schema(),
            max_tokens=self.max_output_tokens,
            logprobs=logprobs,
        )

    def echoed(self) -> Json:
        """Return the parameters that a response repeats."""
        form = self.text.format.model_dump(by_alias=True, exclude={"description"}, exclude_none=True)
        choice = self.tool_choice
        plain = choice.type in ("none", "auto", "required")
        return {
            "model": self.model,
            "instructions": self.instructions,
            "previous_response_id": self.previous_response_id,
            "tools": [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": tool.strict,
                }
                for tool in self.tools
            ],
            "tool_choice": choice.type if plain else choice.shown(),
            "parallel_tool_calls": self.parallel_tool_calls,
            "text": {"format": form},
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_logprobs": self.top_logprobs,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata,
            "truncation": self.truncation,
            "background": False,
        }

    def _tools(self) -> Json:
        tools, choice = [tool.tool for tool in self.tools], self.tool_choice
        if choice.type == "function":
            return chosen(tools, "required", _given(choice.name, "tool_choice.name"))
        if choice.type == "allowed_tools":
            return chosen(tools, choice.mode, among=[tool.name for tool in choice.tools])
        plain: Choosing = choice.type
        return chosen(tools, plain)

    def _schema(self) -> Json | None:
        form = self.text.format
        if form.type == "text":
            return None
        if form.type == "json_object":
            return {}
        _given(form.name, "text.format.name")
        schema = _given(form.schema_, "text.format.schema")
        check_schemas([schema], "text.format.schema")
        return schema


def _given(value: T | None, param: str) -> T:
    if value is None:
        raise invalid(f"The parameter {param!r} is missing.", param, code="missing_required_parameter")
    return value
