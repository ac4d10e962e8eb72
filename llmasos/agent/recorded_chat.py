"""A chat whose every call is recorded, after its reply and before its end is handed on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import anyio
import anyio.to_thread

from llmasos.agent.approvals import sha256_json
from llmasos.agent.metering import Used, cut_off, given_up
from llmasos.agent.model_call import ModelCall
from llmasos.errors import ModelError
from llmasos.ledger import Ledger
from llmasos.models import Origin
from llmasos.models.calls.prompt import tokens
from llmasos.models.chat.gather import Gathering
from llmasos.models.chat.port import Chat, ChatDelta, ChatMessage, ChatRequest
from llmasos.models.engines.port import Chunk, CompletionRequest, Embeddings, TokenUsage

_LONG = 100_000


class RecordedChat:
    """Passes requests on unchanged, and records each.

    Args:
        name: The model's name.
        chat: Opens what one request asks, given what is told how much an engine did for it.
        origin: Tells where its replies come from.
        ledger: Where calls are recorded.
        session: The ledger's session of the records.
        facts: What is recorded of every call, such as its request's id.
        spent: Told what a call used; of one that was cut off, what that is about.
        context: Tokens of prompt and reply together; None when unknown.
        elsewhere: Whether the model runs elsewhere, where nobody tells how much was done.
    """

    def __init__(
        self,
        name: str,
        chat: Callable[[Callable[[TokenUsage], None]], Chat],
        origin: Callable[[], Awaitable[Origin]],
        ledger: Ledger,
        *,
        session: str,
        facts: Mapping[str, Any],
        spent: Callable[[TokenUsage], Awaitable[None]],
        context: int | None = None,
        elsewhere: bool = False,
    ) -> None:
        self.name = name
        self.context = context
        self._chat = chat
        self._origin = origin
        self._ledger = ledger
        self._session = session
        self._facts = facts
        self._spent = spent
        self._elsewhere = elsewhere

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        """Reply to a conversation; the last piece comes when the call is recorded."""
        asked = "".join(message.content for message in request.messages)
        call = await self._call(sha256_chat, request.messages, len(asked))
        reply, used = Gathering(), Used()
        try:
            async with aclosing(self._chat(used.add).stream(request)) as deltas:
                async for delta in deltas:
                    reply.add(delta)
                    if delta.finish_reason is None:
                        yield delta
                    else:
                        last = delta
            if reply.finish_reason is None:
                raise ModelError(f"The reply of {self.name} broke off.", hint="Ask again.")
        except BaseException as error:
            written = reply.text + "".join(made.arguments for made in reply.calls)
            await self._broken(call, error, reply.usage, used, asked, written)
            raise
        await self._whole(call, sha256_chat([reply.message]), reply.usage or TokenUsage())
        yield last

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Continue a text; the last piece comes when the call is recorded."""
        call = await self._call(sha256_json, request.prompt, len(request.prompt))
        texts: list[str] = []
        last: Chunk | None = None
        used = Used()
        try:
            async with aclosing(self._chat(used.add).complete(request)) as chunks:
                async for chunk in chunks:
                    texts.append(chunk.text)
                    if chunk.finish_reason is None:
                        yield chunk
                    else:
                        last = chunk
            if last is None:
                raise ModelError(f"The reply of {self.name} broke off.", hint="Ask again.")
        except BaseException as error:
            usage = last.usage if last is not None else None
            await self._broken(call, error, usage, used, request.prompt, "".join(texts))
            raise
        await self._whole(call, sha256_json("".join(texts)), last.usage or TokenUsage())
        yield last

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings, recorded."""
        asked = "".join(texts)
        call = await self._call(sha256_json, list(texts), len(asked))
        used = Used()
        try:
            made = await self._chat(used.add).embed(texts)
        except BaseException as error:
            await self._broken(call, error, None, used, asked, "")
            raise
        await self._whole(call, "", TokenUsage(input=made.tokens))
        return made

    async def _call(self, digest: Callable[[Any], str], sent: Any, length: int) -> ModelCall:
        # What is long takes a while, in which others are served.
        sha256 = await anyio.to_thread.run_sync(digest, sent) if length > _LONG else digest(sent)
        facts = {"model": self.name, **self._facts}
        return ModelCall(self._ledger, self._session, self._origin, sha256, **facts)

    async def _whole(self, call: ModelCall, reply_sha256: str, usage: TokenUsage) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await self._spent(usage)
            finally:
                await call.replied(
                    reply_sha256=reply_sha256,
                    input_tokens=usage.input,
                    cached_tokens=usage.cached,
                    output_tokens=usage.output,
                )

    async def _broken(
        self,
        call: ModelCall,
        error: BaseException,
        usage: TokenUsage | None,
        used: Used,
        asked: str,
        written: str,
    ) -> None:
        # Who hangs up before the end has used what was done until then, seen or not.
        if usage is None and (written or cut_off(error)):
            usage = used.since(TokenUsage())
        if usage is None and (written or (self._elsewhere and given_up(error))):
            usage = TokenUsage(input=tokens(asked), output=tokens(written) if written else 0)
        with anyio.CancelScope(shield=True):
            try:
                if usage is not None:
                    await self._spent(usage)
            finally:
                await call.failed(error)


def sha256_chat(messages: Sequence[ChatMessage]) -> str:
    """Return the SHA-256 of what messages say: role, content, calls and the call that is answered."""
    return sha256_json([message.model_dump(mode="json", exclude_defaults=True) for message in messages])
