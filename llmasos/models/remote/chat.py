"""Chats with a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.chat.port import ChatDelta, ChatRequest
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    InvalidRequest,
    TokenUsage,
)
from llmasos.models.remote import errors
from llmasos.models.remote.endpoint import Endpoint
from llmasos.models.remote.spend import Spend
from llmasos.models.remote.wire import (
    MOST_WRITTEN,
    ChatReply,
    TooLong,
    chat_body,
    checked_usage,
    completion_body,
    completion_event,
    usage_of,
)

_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class RemoteChat:
    """One model of an endpoint.

    Args:
        endpoint: Where it is asked.
        name: The model's name there.
        spend: Where tokens and prices are added up.
    """

    def __init__(self, endpoint: Endpoint, name: str, *, spend: Spend | None = None) -> None:
        self.endpoint = endpoint
        self.context: int | None = None
        self._name = name
        self._spend = spend or Spend()
        self._limit = "max_tokens"

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        """Reply to a conversation.

        Raises:
            ModelError: The endpoint cannot be reached, refuses the request, or cuts the reply short.
        """
        reply = ChatReply()
        asked = "".join(message.content for message in request.messages)
        answered = False
        try:
            async with aclosing(self._chat_events(request, reply)) as events:
                async for event in events:
                    answered = True
                    if (delta := self._read(reply, event)) is not None:
                        yield delta
            if reply.finish is None:
                raise errors.cut(self.endpoint.url, self.name)
            usage = checked_usage(reply.usage, asked, reply.written)
            yield ChatDelta(finish_reason=reply.finish, usage=usage)
        finally:
            # A reply that is not read to its end is paid for as well.
            if answered:
                self._count(checked_usage(reply.usage, asked, reply.written))

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Continue a text.

        Raises:
            InvalidRequest: It asks for what endpoints do not offer.
            ModelError: As `stream`.
        """
        body = completion_body(self.name, request)
        written, finish, usage, answered = "", "", None, False
        try:
            events = self.endpoint.events("completions", body, name=self.name, ended=lambda: bool(finish))
            async with aclosing(events):
                async for event in events:
                    answered = True
                    self._check(event)
                    try:
                        text, logprobs, reason = completion_event(event)
                        usage = usage_of(event.get("usage")) or usage
                    except _MALFORMED as error:
                        raise self._no_reply(error) from error
                    finish = reason or finish
                    written += text
                    if len(written) > MOST_WRITTEN:
                        raise self._no_reply(TooLong())
                    if text or logprobs:
                        yield Chunk(text=text, logprobs=logprobs)
            if not finish:
                raise errors.cut(self.endpoint.url, self.name)
            usage = checked_usage(usage, request.prompt, written)
            yield Chunk(finish_reason="length" if finish == "length" else "stop", usage=usage)
        finally:
            if answered:
                self._count(checked_usage(usage, request.prompt, written))

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings.

        Raises:
            ModelError: As `stream`.
        """
        body = {"model": self.name, "input": list(texts), "encoding_format": "float"}
        found = await self.endpoint.post("embeddings", body, name=self.name)
        try:
            rows = sorted(found["data"], key=lambda row: int(row["index"]))
            vectors = tuple(_unit(row["embedding"]) for row in rows)
            usage = usage_of(found.get("usage"))
        except _MALFORMED as error:
            raise self._no_reply(error) from error
        if len(vectors) != len(texts):
            raise errors.no_reply(self.endpoint.url, f"{len(vectors)} embeddings of {len(texts)} texts")
        usage = checked_usage(usage, "".join(texts), "")
        self._count(usage)
        return Embeddings(vectors=vectors, tokens=usage.input)

    async def check(self) -> None:
        """Ask whether the endpoint is there, and what it says of the model.

        Raises:
            ModelError: It is not, or refuses the key.
        """
        try:
            listed = await self.endpoint.get("models")
        except errors.Denied as error:
            # Not every endpoint lists its models.
            if "does not exist" in error.message:
                return
            raise
        rows = listed.get("data") if isinstance(listed, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and row.get("id") == self.name:
                length = row.get("max_model_len")
                self.context = length if type(length) is int and length > 0 else None

    async def close(self) -> None:
        """Close what is connected."""
        await self.endpoint.close()

    async def _chat_events(self, request: ChatRequest, reply: ChatReply) -> AsyncGenerator[dict[str, Any]]:
        while True:
            limit = self._limit
            body = chat_body(self.name, request, limit=limit)
            try:
                events = self.endpoint.events(
                    "chat/completions", body, name=self.name, ended=lambda: reply.finish is not None
                )
                async with aclosing(events):
                    async for event in events:
                        yield event
                return
            except InvalidRequest as error:
                # OpenAI's newer models know the bound by another name only.
                if limit == "max_completion_tokens" or "max_completion_tokens" not in error.message:
                    raise
                self._limit = "max_completion_tokens"

    def _read(self, reply: ChatReply, event: Mapping[str, Any]) -> ChatDelta | None:
        self._check(event)
        try:
            return reply.read(event)
        except _MALFORMED as error:
            raise self._no_reply(error) from error

    def _check(self, event: Mapping[str, Any]) -> None:
        if event.get("error"):
            raise self.endpoint.hidden(errors.failed(self.endpoint.url, self.name, event["error"]))

    def _no_reply(self, error: Exception) -> ModelError:
        why = str(error).partition("\n")[0][:100]
        return self.endpoint.hidden(
            errors.no_reply(self.endpoint.url, f"an event that cannot be read ({why})")
        )

    def _count(self, usage: TokenUsage) -> None:
        self._spend.add(self.name, errors.shown(self.endpoint.url), usage)


def _unit(values: Sequence[Any]) -> tuple[float, ...]:
    vector = tuple(map(float, values))
    length = math.sqrt(sum(value * value for value in vector))
    if not vector or not length or not math.isfinite(length):
        raise ValueError("an embedding without a direction")
    return tuple(value / length for value in vector)
