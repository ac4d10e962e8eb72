"""The chat port: messages and tools in, text and calls out, whatever runs the model."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, Field

from llmasos.events import ToolChoice
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    Sampling,
    TokenChoice,
    TokenUsage,
)

ChatFinish = Literal["stop", "length", "tool_calls", "content_filter"]


class ChatCall(BaseModel, frozen=True):
    """A tool call of an assistant; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


def new_call_id() -> str:
    """Return an id for a call that came without one."""
    return f"call_{secrets.token_hex(12)}"


class ChatMessage(BaseModel, frozen=True):
    """One message; `call_id` names the call whose result a message of the role `tool` is."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    calls: tuple[ChatCall, ...] = ()
    call_id: str = ""


class ChatTool(BaseModel, frozen=True):
    """A tool that may be called; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


class ChatRequest(Sampling, frozen=True):
    """What to reply to.

    Args:
        messages: The conversation, oldest first.
        tools: What may be called.
        tool_choice: `auto` leaves it to the model, `none` forbids calls, `required` demands one.
        tool_named: With `required`, the only tool that may be called.
        parallel_calls: Whether one reply may have several calls.
        json_schema: The schema that text has to match; an empty one allows any JSON object.
        max_tokens: Tokens to write at most; None is as many as the context holds.
        temperature: None takes the model's own.
        choices: Whether calls are to say how sure the model was of their tool, where it can be told.
    """

    messages: tuple[ChatMessage, ...]
    tools: tuple[ChatTool, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    tool_named: str = ""
    parallel_calls: bool = True
    json_schema: dict[str, Any] | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=5)  # type: ignore[assignment]
    choices: bool = False


class CallDelta(BaseModel, frozen=True):
    """A piece of a call; the first one of each `index` carries the id, the name and how sure that is."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    choice: ToolChoice | None = None


class ChatDelta(BaseModel, frozen=True):
    """A piece of a reply; the last one carries the finish reason and the usage."""

    text: str = ""
    calls: tuple[CallDelta, ...] = ()
    logprobs: tuple[TokenChoice, ...] = ()
    finish_reason: ChatFinish | None = None
    usage: TokenUsage | None = None


class Chat(Protocol):
    """One model, as programs talk to it. Every reply stream ends with a finish reason, or raises."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def context(self) -> int | None:
        """Tokens of prompt and reply together; None when unknown."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        """Reply to a conversation.

        Raises:
            ContextExceeded: The conversation does not fit.
            InvalidRequest: The model cannot do what the request asks for.
            Refused: It may not wait any longer, or not at all.
            ModelError: The model failed.
        """

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Continue a text.

        Raises:
            As `stream`.
        """

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings.

        Raises:
            InvalidRequest: The model has none.
        """
