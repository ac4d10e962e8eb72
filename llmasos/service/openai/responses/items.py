"""Items of the Responses API, and the conversation that they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from llmasos.models.chat.port import ChatCall, ChatMessage
from llmasos.service.openai.conversation import check_calls
from llmasos.service.openai.endpoint import Json
from llmasos.service.openai.errors import ApiError, invalid
from llmasos.service.openai.shapes import new_id
from llmasos.service.openai.wire import Content, Ignored


class Item(BaseModel):
    """An item of a conversation; clients send back all that an item of a reply had."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    id: str | None = None
    role: Literal["developer", "system", "user", "assistant"] | None = None
    content: Content | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: Content | None = None
    summary: Ignored = None

    def stored(self) -> Json:
        """Return the item as it is kept and shown."""
        shown: Json = {"id": self.id or new_id("item_"), "type": self.type, "status": "completed"}
        match self.type:
            case "message":
                kind = "output_text" if self.role == "assistant" else "input_text"
                part: Json = {"type": kind, "text": self.content}
                if kind == "output_text":
                    part["annotations"] = []
                return shown | {"role": self.role, "content": [part]}
            case "function_call":
                return shown | {"call_id": self.call_id, "name": self.name, "arguments": self.arguments}
            case "function_call_output":
                return shown | {"call_id": self.call_id, "output": self.output}
        return shown | {"summary": []}


def check_items(items: Sequence[Item]) -> None:
    """Let items pass that have what their types need.

    Raises:
        ApiError: One has not.
    """
    for index, item in enumerate(items):
        needed: tuple[str, ...] = {
            "message": ("role", "content"),
            "function_call": ("call_id", "name", "arguments"),
            "function_call_output": ("call_id", "output"),
            "reasoning": (),
        }[item.type]
        for name in needed:
            if getattr(item, name) is None or (name in ("call_id", "name") and not getattr(item, name)):
                raise _missing(f"input[{index}].{name}")


def conversation(instructions: str | None, items: Sequence[Item]) -> tuple[ChatMessage, ...]:
    """Return the messages that items are; a reply's text and its calls are one message.

    Args:
        instructions: What the system says before all else.
        items: What was said, oldest first; thoughts are left out.

    Raises:
        ApiError: A result answers no call.
    """
    messages = [ChatMessage(role="system", content=instructions)] if instructions else []
    for item in items:
        if item.type == "message":
            role = "system" if item.role in ("developer", "system") else item.role or "user"
            messages.append(ChatMessage(role=role, content=item.content or ""))
        elif item.type == "function_call":
            call = ChatCall(id=item.call_id or "", name=item.name or "", arguments=item.arguments or "")
            if messages and messages[-1].role == "assistant":
                last = messages.pop()
                messages.append(last.model_copy(update={"calls": (*last.calls, call)}))
            else:
                messages.append(ChatMessage(role="assistant", calls=(call,)))
        elif item.type == "function_call_output":
            messages.append(ChatMessage(role="tool", content=item.output or "", call_id=item.call_id or ""))
    check_calls(messages, "input")
    return tuple(messages)


def _missing(param: str) -> ApiError:
    return invalid(f"The parameter {param!r} is missing.", param, code="missing_required_parameter")
