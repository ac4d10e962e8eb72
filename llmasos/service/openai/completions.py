"""Text completions, as OpenAI's older API has them: `POST /v1/completions`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from itertools import accumulate
from typing import Annotated, Any

import anyio
from pydantic import BeforeValidator, Field, field_validator

from llmasos.models.chat.port import Chat
from llmasos.models.engines.port import Chunk, CompletionRequest, TokenChoice, TokenUsage
from llmasos.service.openai.endpoint import Call, Json
from llmasos.service.openai.errors import invalid
from llmasos.service.openai.gateway import Gateway
from llmasos.service.openai.identity import Asked, Caller
from llmasos.service.openai.sampling import SamplingFields
from llmasos.service.openai.shapes import finite, new_id, total, usage_object
from llmasos.service.openai.wire import Ignored, Texts

_MOST_CHOICES = 128
_MOST_TOKENS = 16  # the default of this API


def texts_only(value: Any) -> Any:
    """Refuse what is already cut into a model's tokens."""
    parts = value if isinstance(value, list) else []
    if any(isinstance(part, int | list) for part in parts):
        raise ValueError("token numbers are not supported, send text")
    return value


class CompletionBody(SamplingFields):
    """The body of `POST /v1/completions`."""

    prompt: Annotated[Texts, BeforeValidator(texts_only)] = Field(min_length=1, max_length=_MOST_CHOICES)
    max_tokens: int = Field(_MOST_TOKENS, ge=1, le=2**31)
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool = False
    best_of: int | None = None
    service_tier: Ignored = None

    @field_validator("prompt")
    @classmethod
    def _no_empty_prompt(cls, prompts: list[str]) -> list[str]:
        if not all(prompts):
            raise ValueError("a prompt is empty")
        return prompts

    def requests(self, caller: Caller) -> list[CompletionRequest]:
        """Return what is asked of the model: for each prompt, `n` continuations.

        Raises:
            ApiError: The parameters do not go together.
        """
        if self.best_of not in (None, self.n):
            raise invalid("`best_of` must be the same as `n`.", "best_of", code="unsupported_parameter")
        if self.echo and self.logprobs is not None:
            raise invalid(
                "The log-probabilities of a prompt are not known.", "echo", code="unsupported_parameter"
            )
        if self.stream_options is not None and not self.stream:
            raise invalid("`stream_options` needs `stream`.", "stream_options", code="invalid_value")
        if len(self.prompt) * self.n > _MOST_CHOICES:
            raise invalid(f"More than {_MOST_CHOICES} choices are asked for.", "n", code="invalid_value")
        return [
            CompletionRequest(
                **self.sampling(),
                prompt=prompt,
                seed=seed,
                temperature=1.0 if self.temperature is None else self.temperature,
                max_tokens=self.max_tokens,
                logprobs=self.logprobs,
                tenant=caller.client.tenant,
                session=caller.client.session,
            )
            for prompt in self.prompt
            for seed in self.seeds
        ]


class Completions:
    """Answers text completions.

    Args:
        gateway: Where models are asked.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def create(self, call: Call[CompletionBody]) -> None:
        """Continue each prompt, `n` times."""
        body = call.body
        requests = body.requests(call.caller)
        asked = Asked(max(map(len, body.prompt)), writes=body.max_tokens, calls=len(requests))
        chat = self._gateway.chat(body.model, call.caller, "completions", asked)
        completion = _Completion(call, chat)
        if body.stream:
            await completion.stream(requests)
        else:
            await completion.whole(requests)


class _Completion:
    def __init__(self, call: Call[CompletionBody], chat: Chat) -> None:
        self._body, self._reply = call.body, call.reply
        self._chat = chat
        self._id, self._created = new_id("cmpl-"), int(time.time())

    async def whole(self, requests: Sequence[CompletionRequest]) -> None:
        """Send all choices at once."""
        replies: list[list[Chunk]] = [[] for _ in requests]

        async def gather(request: CompletionRequest, chunks: list[Chunk]) -> None:
            async with aclosing(self._chat.complete(request)) as stream:
                async for chunk in stream:
                    chunks.append(chunk)

        async with anyio.create_task_group() as tasks:
            for request, chunks in zip(requests, replies, strict=True):
                tasks.start_soon(gather, request, chunks)
        choices = []
        for index, (request, chunks) in enumerate(zip(requests, replies, strict=True)):
            text = self._head(request) + "".join(chunk.text for chunk in chunks)
            tokens = [token for chunk in chunks for token in chunk.logprobs]
            choices.append(self._choice(index, text, tokens, 0, chunks[-1].finish_reason))
        usage = usage_object(total(chunks[-1].usage for chunks in replies))
        await self._reply.whole(self._object(choices) | {"usage": usage})

    async def stream(self, requests: Sequence[CompletionRequest]) -> None:
        """Send the choices piece by piece."""
        usages: list[TokenUsage | None] = []

        async def send(index: int, request: CompletionRequest) -> None:
            head, offset = self._head(request), 0
            async with aclosing(self._chat.complete(request)) as stream:
                async for chunk in stream:
                    usages.append(chunk.usage)
                    choice = self._choice(
                        index, head + chunk.text, chunk.logprobs, offset, chunk.finish_reason
                    )
                    offset += sum(len(token.text) for token in chunk.logprobs)
                    head = ""
                    await self._send([choice])

        async with anyio.create_task_group() as tasks:
            for index, request in enumerate(requests):
                tasks.start_soon(send, index, request)
        if self._body.usage_wanted:
            await self._send([], usage_object(total(usages)))
        await self._reply.end("[DONE]")

    async def _send(self, choices: list[Json], usage: Json | None = None) -> None:
        wanted = {"usage": usage} if self._body.usage_wanted else {}
        await self._reply.event(self._object(choices) | wanted)

    def _head(self, request: CompletionRequest) -> str:
        return request.prompt if self._body.echo else ""

    def _choice(
        self, index: int, text: str, tokens: Sequence[TokenChoice], offset: int, finish: str | None
    ) -> Json:
        logprobs = _logprobs(tokens, offset) if self._body.logprobs is not None else None
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}

    def _object(self, choices: list[Json]) -> Json:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._body.model,
            "choices": choices,
        }


def _logprobs(tokens: Sequence[TokenChoice], offset: int) -> Json:
    texts = [token.text for token in tokens]
    return {
        "tokens": texts,
        "token_logprobs": [finite(token.logprob) for token in tokens],
        "top_logprobs": [{other.text: finite(other.logprob) for other in token.others} for token in tokens],
        "text_offset": list(accumulate(map(len, texts[:-1]), initial=offset)) if texts else [],
    }
