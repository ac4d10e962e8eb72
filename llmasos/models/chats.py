"""A chat with a model that is found, fetched and loaded when it is first asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from llmasos.models.chat.port import Chat, ChatDelta, ChatRequest
from llmasos.models.engines.port import Chunk, CompletionRequest, Embeddings


class OpeningChat:
    """Stands for a chat that is still to be opened.

    Args:
        name: The model's name.
        open_: Opens it.
    """

    def __init__(self, name: str, open_: Callable[[], Awaitable[Chat]]) -> None:
        self.name = name
        self._open = open_
        self._chat: Chat | None = None

    @property
    def context(self) -> int | None:
        """Tokens of prompt and reply together; None until it is open."""
        return None if self._chat is None else self._chat.context

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        """Reply to a conversation."""
        async with aclosing((await self._opened()).stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Continue a text."""
        async with aclosing((await self._opened()).complete(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings."""
        return await (await self._opened()).embed(texts)

    async def _opened(self) -> Chat:
        if self._chat is None:
            self._chat = await self._open()
        return self._chat
