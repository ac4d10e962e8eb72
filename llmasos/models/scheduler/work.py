"""What jobs do with an engine: complete a text, or call it once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from llmasos.errors import ModelError
from llmasos.models.engines.port import Chunk, CompletionRequest, Engine, TokenUsage

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Even where one token stands for a long run of spaces, a text has more tokens than this.
_BYTES_PER_TOKEN_MOST = 32


class Work(Protocol[T_co]):
    """Something that an engine does for a job, and that can be taken up again when it was stopped."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens to read, estimated."""

    @property
    def max_tokens(self) -> int:
        """Tokens to write at most."""

    @property
    def operation(self) -> str:
        """What it is, in the words of OpenTelemetry's conventions; empty where they have none."""

    @property
    def usage(self) -> TokenUsage:
        """What it has read and written."""

    @property
    def used(self) -> TokenUsage:
        """The same, estimated where it has not come to its end."""

    def resumable(self, engine: Engine | None) -> bool:
        """Return whether it may be stopped and go on later; a guess where there is no engine yet."""

    def run(self, engine: Engine) -> AsyncGenerator[T_co]:
        """Do it, or go on with it."""


class Completion:
    """A completion, which keeps the tokens it has for the case that it is stopped.

    Args:
        request: What is asked.
        context: Tokens of prompt and reply that the model keeps in view, as far as known.
    """

    def __init__(self, request: CompletionRequest, context: int) -> None:
        self._request = request
        self._context = context
        self.kept = list(request.kept)
        self.written = 0
        self.usage = TokenUsage()

    @property
    def prompt_tokens(self) -> int:
        """Tokens to read, estimated so that only what surely does not fit is refused before it is tried."""
        texts = (self._request.prompt, *(turn.content for turn in self._request.turns))
        room = max(1, self._context - self._request.max_tokens)
        return max(estimate(texts, _BYTES_PER_TOKEN_MOST), min(estimate(texts), room))

    @property
    def used(self) -> TokenUsage:
        """What it has read and written, estimated where it has not come to its end."""
        if self.usage != TokenUsage():
            return self.usage
        return TokenUsage(input=self.prompt_tokens, output=self.written)

    @property
    def max_tokens(self) -> int:
        """Tokens to write at most."""
        return self._request.max_tokens

    @property
    def operation(self) -> str:
        """What it is, in the words of OpenTelemetry's conventions."""
        return "chat" if self._request.turns else "text_completion"

    def resumable(self, engine: Engine | None) -> bool:
        """Return whether it may be stopped and go on later; a guess where there is no engine yet."""
        if engine is None:
            return not (self._request.grammar or self._request.json_schema)
        return not self.written or engine.resumable(self._request)

    async def run(self, engine: Engine) -> AsyncGenerator[Chunk]:
        """Stream the reply from where it stands.

        Raises:
            ModelError: The engine failed, or ended the reply without a reason.
        """
        if len(self.kept) >= self._request.max_tokens:
            # It was stopped after its last token.
            usage = TokenUsage(input=await engine.count(self._request), output=len(self.kept))
            self.usage = usage
            yield Chunk(finish_reason="length", usage=usage)
            return
        request = self._request.model_copy(update={"kept": tuple(self.kept)})
        finished = False
        async with aclosing(engine.stream(request)) as chunks:
            async for chunk in chunks:
                self.kept.extend(chunk.tokens)
                self.written += len(chunk.tokens) or bool(chunk.text)
                if chunk.usage is not None:
                    self.usage = self._whole(chunk.usage)
                    chunk = chunk.model_copy(update={"usage": self.usage})
                finished = finished or chunk.finish_reason is not None
                yield chunk
        if not finished:
            raise ModelError(f"The reply of {engine.name} was cut short.", hint="Try again.")

    def _whole(self, usage: TokenUsage) -> TokenUsage:
        """Count what was written before the last interruption too."""
        return usage.model_copy(update={"output": max(usage.output, len(self.kept))})


class Call(Generic[T]):
    """One call of an engine, whose result is the only item.

    Args:
        function: What is called.
        prompt_tokens: Tokens to read.
        operation: What it is, in the words of OpenTelemetry's conventions; empty where they have none.
    """

    max_tokens = 0

    def __init__(
        self, function: Callable[[Engine], Awaitable[T]], prompt_tokens: int = 0, operation: str = ""
    ) -> None:
        self._function = function
        self.prompt_tokens = prompt_tokens
        self.operation = operation
        self.usage = self.used = TokenUsage(input=prompt_tokens)

    def resumable(self, engine: Engine | None) -> bool:
        """Return that it is not."""
        return False

    async def run(self, engine: Engine) -> AsyncGenerator[T]:
        """Yield the result."""
        yield await self._function(engine)


def estimate(texts: Iterable[str], bytes_per_token: int = 3) -> int:
    """Estimate the tokens of texts; three bytes a token fit English, code and Chinese."""
    return max(1, sum(len(text.encode("utf-8", "replace")) for text in texts) // bytes_per_token)


def join(one: Any, other: Any) -> Any:
    """Return one chunk that says what two say, one after the other."""
    return Chunk(
        text=one.text + other.text,
        tokens=one.tokens + other.tokens,
        logprobs=one.logprobs + other.logprobs,
        finish_reason=other.finish_reason or one.finish_reason,
        usage=other.usage or one.usage,
    )
