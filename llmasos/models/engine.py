"""The engine port: what runs a model and streams its text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from pydantic import BaseModel

from llmasos.errors import ModelError

FinishReason = Literal["stop", "length"]


class Turn(BaseModel, frozen=True):
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


class CompletionRequest(BaseModel, frozen=True):
    """What to complete and within which bounds.

    Args:
        turns: The chat, oldest first.
        prefix: How many leading turns stay the same from request to request; an engine may keep
            what it computed for them.
        grammar: GBNF grammar the output has to match, or empty.
        max_tokens: Upper bound of generated tokens.
        temperature: 0 takes the most likely token.
        repeat_penalty: Above 1 makes tokens that occurred before less likely.
    """

    turns: tuple[Turn, ...]
    prefix: int = 0
    grammar: str = ""
    max_tokens: int = 1024
    temperature: float = 0.0
    repeat_penalty: float = 1.0


class TokenUsage(BaseModel, frozen=True):
    """Tokens of one completion; `cached` is the part of `input` that was not computed again."""

    input: int = 0
    cached: int = 0
    output: int = 0


class Chunk(BaseModel, frozen=True):
    """A piece of generated text; the last one carries the finish reason and the usage."""

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: TokenUsage | None = None


class ContextExceeded(ModelError):
    """The request has more tokens than the engine keeps in view."""

    code = "context"


class Engine(Protocol):
    """Runs one model.

    Closing the generator that `stream` returns, or cancelling the task that awaits it, stops the
    decoding.
    """

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def context(self) -> int:
        """Tokens of prompt and output together that the engine keeps in view."""

    def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request.

        Raises:
            ContextExceeded: The request does not fit.
            ModelError: The engine failed, or was closed.
        """

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Compute, or restore, what the engine keeps for this prefix."""

    async def close(self) -> None:
        """Stop what runs and free the model."""
