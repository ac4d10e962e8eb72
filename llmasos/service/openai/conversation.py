"""Tools, choices among them and output formats: what chat completions and responses both ask for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field
from pydantic_core import from_json

from llmasos.models.chat.port import ChatMessage, ChatTool
from llmasos.service.openai.errors import invalid
from llmasos.service.openai.wire import Ignored, JsonObject, Name, Wire

Choosing = Literal["none", "auto", "required"]
NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
_LARGEST_SCHEMAS = 256_000


class Function(Wire):
    """A function that may be called; `strict` is always kept where the model can be held to a schema."""

    name: Name
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None

    @property
    def tool(self) -> ChatTool:
        """The function as the chat knows it."""
        return ChatTool(
            name=self.name,
            description=self.description or "",
            parameters=self.parameters or NO_PARAMETERS,
        )


class SchemaFormat(Wire):
    """Text that matches a schema."""

    name: Name
    description: Ignored = None
    schema_: JsonObject = Field({}, alias="schema")
    strict: bool | None = None


def chosen(
    tools: Sequence[ChatTool], choice: Choosing, named: str = "", among: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the fields of a chat request about tools.

    Args:
        tools: What may be called.
        choice: Whether a call is forbidden, allowed or demanded.
        named: The only tool that may be called, or empty.
        among: The only tools that may be called; None allows all.

    Raises:
        ApiError: Tools have the same name, or are too large, or one is named that there is not.
    """
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(f"Two tools have the name {twice!r}.", "tools", code="invalid_value")
    for name in [*([named] if named else []), *(among or ())]:
        if name not in names:
            raise invalid(f"There is no tool {name[:100]!r} to choose.", "tool_choice", code="invalid_value")
    check_schemas([tool.parameters for tool in tools], "tools")
    if choice == "required" and not tools:
        raise invalid("A call is required, and there are no tools.", "tool_choice", code="invalid_value")
    return {
        "tools": tuple(tool for tool in tools if among is None or tool.name in among),
        "tool_choice": choice,
        "tool_named": named,
    }


def check_schemas(schemas: Sequence[dict[str, Any]], param: str) -> None:
    """Let schemas pass of which a grammar can be made in reasonable time.

    Raises:
        ApiError: They are too large.
    """
    if len(json.dumps(schemas)) > _LARGEST_SCHEMAS:
        raise invalid(
            f"The schemas have more than {_LARGEST_SCHEMAS} characters.", param, code="invalid_value"
        )


def check_calls(messages: Sequence[ChatMessage], param: str) -> None:
    """Let a conversation pass in which every result answers a call that was made before.

    Raises:
        ApiError: One does not, or arguments are nested too deeply.
    """
    if not messages:
        raise invalid("There is no message to reply to.", param, code="invalid_value")
    made: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool" and message.call_id not in made:
            raise invalid(
                f"This answers the call {message.call_id[:100]!r}, which was not made before it.",
                f"{param}[{index}]",
                code="invalid_value",
            )
        made.update(call.id for call in message.calls)
        if any(_too_deep(call.arguments) for call in message.calls):
            raise invalid("The arguments of a call are nested too deeply.", f"{param}[{index}]")


def _too_deep(arguments: str) -> bool:
    """Return whether JSON might break readers; models do write arguments that are no JSON."""
    try:
        from_json(arguments)
    except ValueError as error:
        return "recursion limit" in str(error)
    return False


def length(messages: Sequence[ChatMessage]) -> int:
    """Return the characters of a conversation."""
    return sum(
        len(message.content) + sum(len(call.arguments) for call in message.calls) for message in messages
    )
