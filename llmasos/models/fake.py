"""An engine that replies from a script."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

import anyio.lowlevel

from llmasos.errors import ModelError
from llmasos.models.engine import Chunk, CompletionRequest, FinishReason, TokenUsage, Turn


class FakeEngine:
    """Replies with the given texts in turn, a few characters at a time, and keeps the requests.

    Args:
        replies: The texts; an exception among them is raised instead.
        context: Tokens it claims to keep in view.
        finish_reason: What every reply ends with; None cuts the stream without an end.
    """

    def __init__(
        self,
        replies: Iterable[str | Exception] = (),
        *,
        name: str = "fake",
        context: int = 8192,
        finish_reason: FinishReason | None = "stop",
    ) -> None:
        self.name = name
        self.context = context
        self.requests: list[CompletionRequest] = []
        self.prepared: list[tuple[Turn, ...]] = []
        self.stopped = 0
        self.closed = False
        self._replies = iter(replies)
        self._finish_reason = finish_reason

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
                usage = TokenUsage(input=sum(len(turn.content) for turn in request.turns), output=len(reply))
                yield Chunk(finish_reason=self._finish_reason, usage=usage)
            finished = True
        finally:
            self.stopped += not finished

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Remember the prefix."""
        self.prepared.append(prefix)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
