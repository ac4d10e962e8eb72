"""Chat completions: `POST /v1/chat/completions`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing

import anyio

from llmasos.models.chat.gather import Gathering
from llmasos.models.chat.port import CallDelta, Chat, ChatDelta, ChatRequest
from llmasos.models.engines.port import TokenUsage
from llmasos.service.openai.chat_body import ChatBody
from llmasos.service.openai.conversation import length
from llmasos.service.openai.endpoint import Call, Json
from llmasos.service.openai.gateway import Gateway
from llmasos.service.openai.identity import Asked
from llmasos.service.openai.shapes import logprob_list, new_id, total, usage_object


class ChatCompletions:
    """Answers chat completions.

    Args:
        gateway: Where models are asked.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def create(self, call: Call[ChatBody]) -> None:
        """Reply to a conversation, `n` times."""
        body = call.body
        requests = body.requests()
        first = requests[0]
        asked = Asked(length(first.messages), writes=first.max_tokens, calls=len(requests))
        chat = self._gateway.chat(body.model, call.caller, "chat.completions", asked)
        completion = _Completion(call, chat)
        if body.stream:
            await completion.stream(requests)
        else:
            await completion.whole(requests)


class _Completion:
    """One completion with its choices, which are made at the same time."""

    def __init__(self, call: Call[ChatBody], chat: Chat) -> None:
        self._body, self._reply = call.body, call.reply
        self._chat = chat
        self._id, self._created = new_id("chatcmpl-"), int(time.time())

    async def whole(self, requests: Sequence[ChatRequest]) -> None:
        """Send all choices at once."""
        replies = [Gathering() for _ in requests]

        async def gather(request: ChatRequest, reply: Gathering) -> None:
            async with aclosing(self._chat.stream(request)) as deltas:
                async for delta in deltas:
                    reply.add(delta)

        async with anyio.create_task_group() as tasks:
            for request, reply in zip(requests, replies, strict=True):
                tasks.start_soon(gather, request, reply)
        choices = [self._choice(index, reply) for index, reply in enumerate(replies)]
        usage = usage_object(total(reply.usage for reply in replies))
        await self._reply.whole(self._object("chat.completion", choices) | {"usage": usage})

    async def stream(self, requests: Sequence[ChatRequest]) -> None:
        """Send the choices piece by piece; their pieces wait for each other's reader, and nowhere else."""
        usages: list[TokenUsage | None] = []

        async def send(index: int, request: ChatRequest) -> None:
            head: Json = {"role": "assistant", "content": "", "refusal": None}
            async with aclosing(self._chat.stream(request)) as deltas:
                async for delta in deltas:
                    if head:
                        await self._chunk(index, head, ChatDelta())
                        head = {}
                    if piece := _piece(delta):
                        await self._chunk(index, piece, delta.model_copy(update={"finish_reason": None}))
                    if delta.finish_reason is not None:
                        usages.append(delta.usage)
                        await self._chunk(index, {}, ChatDelta(finish_reason=delta.finish_reason))

        async with anyio.create_task_group() as tasks:
            for index, request in enumerate(requests):
                tasks.start_soon(send, index, request)
        if self._body.usage_wanted:
            usage = usage_object(total(usages))
            await self._reply.event(self._object("chat.completion.chunk", []) | {"usage": usage})
        await self._reply.end("[DONE]")

    async def _chunk(self, index: int, piece: Json, delta: ChatDelta) -> None:
        logprobs = self._logprobs(delta) if delta.logprobs else None
        choice = {
            "index": index,
            "delta": piece,
            "logprobs": logprobs,
            "finish_reason": delta.finish_reason,
        }
        usage = {"usage": None} if self._body.usage_wanted else {}
        await self._reply.event(self._object("chat.completion.chunk", [choice]) | usage)

    def _choice(self, index: int, reply: Gathering) -> Json:
        message: Json = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
        if reply.calls:
            message["content"] = reply.text or None
            message["tool_calls"] = [
                {
                    "id": made.id,
                    "type": "function",
                    "function": {"name": made.name, "arguments": made.arguments},
                }
                for made in reply.calls
            ]
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(reply) if self._body.logprobs else None,
            "finish_reason": reply.finish_reason,
        }

    def _logprobs(self, said: Gathering | ChatDelta) -> Json:
        return {"content": logprob_list(said.logprobs), "refusal": None}

    def _object(self, kind: str, choices: list[Json]) -> Json:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._body.model,
            "choices": choices,
        }


def _piece(delta: ChatDelta) -> Json:
    piece: Json = {}
    if delta.text or delta.logprobs:
        piece["content"] = delta.text
    if delta.calls:
        piece["tool_calls"] = [_call_piece(call) for call in delta.calls]
    return piece


def _call_piece(call: CallDelta) -> Json:
    function: Json = {"arguments": call.arguments}
    if not call.name:
        return {"index": call.index, "function": function}
    return {
        "index": call.index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, **function},
    }
