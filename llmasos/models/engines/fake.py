"""An engine that replies from a script."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

import anyio.lowlevel

from llmasos.errors import ModelError
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    FinishReason,
    Footprint,
    TokenUsage,
    Turn,
)


class FakeEngine:
    """Replies with the given texts in turn, a few characters at a time, and keeps the requests.

    Args:
        replies: The texts; an exception among them is raised instead.
        context: Tokens it claims to keep in view.
        slots: Requests it claims to run at once.
        finish_reason: What every reply ends with; None cuts the stream without an end.
    """

    def __init__(
        self,
        replies: Iterable[str | Exception] = (),
        *,
        name: str = "fake",
        context: int = 8192,
        slots: int = 1,
        finish_reason: FinishReason | None = "stop",
    ) -> None:
        self.name = name
        self.context = context
        self.slots = slots
        self.requests: list[CompletionRequest] = []
        self.prepared: list[tuple[Turn, ...]] = []
        self.stopped = 0
        self.parked = False
        self.closed = False
        self._replies = iter(replies)
        self._finish_reason = finish_reason

    def script(self, replies: Iterable[str | Exception]) -> None:
        """Reply with other texts from now on."""
        self._replies = iter(replies)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Yield the next scripted reply."""
        self.requests.append(request)
        reply = next(self._replies, None)
        if reply is None:
            raise ModelError("The fake engine has no reply left.", hint="Script one more.")
        if isinstance(reply, Exception):
            raise reply
        finished = False
        try:
            for start in range(0, len(reply), 4):
                await anyio.lowlevel.checkpoint()
                yield Chunk(text=reply[start : start + 4])
            if self._finish_reason is not None:
                usage = TokenUsage(input=await self.count(request), output=len(reply))
                yield Chunk(finish_reason=self._finish_reason, usage=usage)
            finished = True
        finally:
            self.stopped += not finished

    def resumable(self, request: CompletionRequest) -> bool:
        """Return that nothing is: a script has no tokens."""
        return False

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Remember the prefix."""
        self.prepared.append(prefix)

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the messages, one a line."""
        return "\n".join(f"{message['role']}: {message.get('content', '')}" for message in messages)

    async def count(self, request: CompletionRequest) -> int:
        """Return the characters of the prompt."""
        return len(request.prompt) + sum(len(turn.content) for turn in request.turns)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return vectors that tell only the lengths apart."""
        return Embeddings(vectors=tuple((1.0, 0.0) if len(text) % 2 else (0.0, 1.0) for text in texts))

    async def footprint(self) -> Footprint:
        """Return that it takes nothing."""
        return Footprint()

    async def park(self) -> int:
        """Remember that it was parked."""
        self.parked = True
        return 0

    async def unpark(self) -> None:
        """Remember that it was not."""
        self.parked = False

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
