"""A chat that replies from a script."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence

import anyio.lowlevel

from llmasos.errors import ModelError
from llmasos.models.chat.port import CallDelta, ChatCall, ChatDelta, ChatFinish, ChatRequest
from llmasos.models.engines.port import Chunk, CompletionRequest, Embeddings, TokenUsage

Reply = str | ChatCall | tuple[ChatCall, ...] | Exception

_PIECE = 4


class FakeChat:
    """Replies with the given texts and calls in turn, a few characters at a time.

    Args:
        replies: Texts, calls, several calls at once, or exceptions that are raised instead.
        name: The model's name.
        context: Tokens it claims to keep in view; None when it does not say.
    """

    def __init__(
        self, replies: Iterable[Reply] = (), *, name: str = "fake", context: int | None = 8192
    ) -> None:
        self.name = name
        self.context = context
        self.requests: list[ChatRequest] = []
        self.completions: list[CompletionRequest] = []
        self.embedded: list[tuple[str, ...]] = []
        self.stopped = 0
        self._replies = iter(replies)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        """Yield the next scripted reply; text longer than `max_tokens` pieces is cut there."""
        self.requests.append(request)
        reply = self._next()
        texts, calls = _parts(reply)
        given = sum(len(message.content) for message in request.messages)
        allowed = len(texts) if request.max_tokens is None else request.max_tokens
        finish: ChatFinish = "tool_calls" if calls else "length" if len(texts) > allowed else "stop"
        finished = False
        try:
            for text in texts[:allowed]:
                await anyio.lowlevel.checkpoint()
                yield ChatDelta(text=text)
            for index, call in enumerate(calls):
                yield ChatDelta(calls=(CallDelta(index=index, id=call.id, name=call.name),))
                for piece in _pieces(call.arguments):
                    await anyio.lowlevel.checkpoint()
                    yield ChatDelta(calls=(CallDelta(index=index, arguments=piece),))
            written = len(texts[:allowed]) + sum(len(_pieces(call.arguments)) for call in calls)
            yield ChatDelta(finish_reason=finish, usage=TokenUsage(input=given, output=written))
            finished = True
        finally:
            self.stopped += not finished

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Yield the next scripted reply, which has to be a text."""
        self.completions.append(request)
        texts, _ = _parts(self._next())
        for text in texts[: request.max_tokens]:
            await anyio.lowlevel.checkpoint()
            yield Chunk(text=text)
        written = min(len(texts), request.max_tokens)
        yield Chunk(
            finish_reason="length" if len(texts) > written else "stop",
            usage=TokenUsage(input=len(request.prompt), output=written),
        )

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return vectors that tell only the lengths apart."""
        self.embedded.append(tuple(texts))
        return Embeddings(
            vectors=tuple((1.0, 0.0) if len(text) % 2 else (0.0, 1.0) for text in texts),
            tokens=sum(map(len, texts)),
        )

    def _next(self) -> str | ChatCall | tuple[ChatCall, ...]:
        reply = next(self._replies, None)
        if reply is None:
            raise ModelError("The fake chat has no reply left.", hint="Script one more.")
        if isinstance(reply, Exception):
            raise reply
        return reply


def _parts(reply: str | ChatCall | tuple[ChatCall, ...]) -> tuple[list[str], tuple[ChatCall, ...]]:
    if isinstance(reply, str):
        return _pieces(reply), ()
    return [], (reply,) if isinstance(reply, ChatCall) else reply


def _pieces(text: str) -> list[str]:
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
