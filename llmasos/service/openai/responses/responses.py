"""Responses: `/v1/responses`."""

from __future__ import annotations

import time
from contextlib import aclosing

from llmasos.models.chat.port import Chat, ChatRequest
from llmasos.models.engines.port import TokenUsage
from llmasos.service.openai.conversation import length
from llmasos.service.openai.endpoint import Call, Empty, Json
from llmasos.service.openai.errors import ApiError, api_error, invalid
from llmasos.service.openai.gateway import Gateway
from llmasos.service.openai.identity import Asked
from llmasos.service.openai.responses.body import ResponseBody
from llmasos.service.openai.responses.items import Item
from llmasos.service.openai.responses.output import Output
from llmasos.service.openai.responses.store import ResponseStore
from llmasos.service.openai.shapes import new_id

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Responses:
    """Answers requests for responses.

    Args:
        gateway: Where models are asked.
        store: Where responses are kept.
    """

    def __init__(self, gateway: Gateway, store: ResponseStore) -> None:
        self._gateway = gateway
        self._store = store

    async def create(self, call: Call[ResponseBody]) -> None:
        """Reply to what was said, here and in the responses before."""
        body = call.body
        request = body.request(await self._before(call))
        asked = Asked(length(request.messages), writes=request.max_tokens)
        chat = self._gateway.chat(body.model, call.caller, "responses", asked)
        await _Response(call, chat, self._store).send(request)

    async def show(self, call: Call[Empty]) -> None:
        """Return a response that was kept."""
        found = await self._store.find(call.caller.owner, call.path["response"])
        if found is None:
            raise _unknown(call.path["response"])
        await call.reply.whole(found[0])

    async def items(self, call: Call[Empty]) -> None:
        """Return what a response replied to, the newest first."""
        found = await self._store.find(call.caller.owner, call.path["response"])
        if found is None:
            raise _unknown(call.path["response"])
        items = found[1][::-1]
        ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"], "has_more": False}
        await call.reply.whole({"object": "list", "data": items, **ends})

    async def delete(self, call: Call[Empty]) -> None:
        """Forget a response."""
        id = call.path["response"]
        if not await self._store.forget(call.caller.owner, id):
            raise _unknown(id)
        await call.reply.whole({"id": id, "object": "response.deleted", "deleted": True})

    async def _before(self, call: Call[ResponseBody]) -> list[Item]:
        id = call.body.previous_response_id
        if not id:
            return []
        found = await self._store.conversation(call.caller.owner, id)
        if found is None:
            raise invalid(
                f"The response {id!r}, or one before it, is not there, or too much was said before.",
                "previous_response_id",
                code="previous_response_not_found",
                hint="Send the conversation as `input` instead.",
            )
        return [Item.model_validate(item) for item in found]


class _Response:
    """One response, as it comes."""

    def __init__(self, call: Call[ResponseBody], chat: Chat, store: ResponseStore) -> None:
        self._call, self._chat, self._store = call, chat, store
        self._input = [item.stored() for item in call.body.input]
        self._id, self._created = new_id("resp_"), int(time.time())
        self._output = Output()
        self._sequence = 0

    async def send(self, request: ChatRequest) -> None:
        """Ask the chat, and send what it replies."""
        try:
            response = await self._made(request)
        except Exception as error:
            if not self._call.reply.started:
                raise
            await self._fail(api_error(error))
            return
        if self._call.body.stream:
            await self._tell({"type": f"response.{response['status']}", "response": response})
            await self._call.reply.end()
        else:
            await self._call.reply.whole(response)

    async def _made(self, request: ChatRequest) -> Json:
        began, finish, usage = False, None, None
        async with aclosing(self._chat.stream(request)) as deltas:
            async for delta in deltas:
                if not began:
                    await self._begin()
                    began = True
                for event in self._output.add(delta):
                    await self._tell(event)
                finish, usage = delta.finish_reason, delta.usage
        reason = _INCOMPLETE.get(finish or "")
        status = "incomplete" if reason else "completed"
        for event in self._output.end(status):
            await self._tell(event)
        response = self._object(status, usage=usage)
        if reason:
            response["incomplete_details"] = {"reason": reason}
        if self._call.body.store:
            await self._store.keep(self._call.caller.owner, response, self._input)
        return response

    async def _begin(self) -> None:
        for kind in ("created", "in_progress"):
            await self._tell({"type": f"response.{kind}", "response": self._object("in_progress")})

    async def _tell(self, event: Json) -> None:
        if not self._call.body.stream:
            return
        numbered = {**event, "sequence_number": self._sequence}
        self._sequence += 1
        await self._call.reply.event(numbered, event["type"])

    async def _fail(self, error: ApiError) -> None:
        response = self._object("failed")
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        response["error"] = {"code": code, "message": error.body()["error"]["message"]}
        await self._tell({"type": "response.failed", "response": response})
        await self._call.reply.end()

    def _object(self, status: str, usage: TokenUsage | None = None) -> Json:
        done = status == "completed"
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "completed_at": int(time.time()) if done else None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": [] if status == "in_progress" else self._output.items(_item_status(status)),
            "usage": _usage(usage) if usage is not None else None,
            "reasoning": {"effort": None, "summary": None},
            **self._call.body.echoed(),
        }


def _item_status(status: str) -> str:
    return "completed" if status == "completed" else "incomplete"


def _usage(usage: TokenUsage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }


def _unknown(id: str) -> ApiError:
    return ApiError(
        404, f"There is no response {id[:100]!r}.", param="response_id", code="response_not_found"
    )
