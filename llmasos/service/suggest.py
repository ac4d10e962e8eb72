"""The HTTP API of suggestions: one command line for a sentence, from one call of a model."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.agent.suggestion import asked, command_line, effects
from llmasos.api.suggesting import Suggestion, SuggestRequest
from llmasos.errors import LLMasOSError, ModelError
from llmasos.kernel import Kernel
from llmasos.models.chat.gather import Gathering
from llmasos.models.chat.port import Chat, ChatRequest
from llmasos.secrets.lines import without_passwords
from llmasos.service.openai.gateway import Gateway
from llmasos.service.openai.identity import Asked, caller, request_id
from llmasos.service.openapi import operation
from llmasos.service.replies import body, reply


def suggest_routes(kernel: Kernel) -> list[Route]:
    """Return the routes under `/v1/suggestions`."""
    return [Route("/v1/suggestions", _SuggestApi(kernel).suggest, methods=["POST"])]


class _SuggestApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @operation("Suggest a command line for a sentence.", body=SuggestRequest, answer=Suggestion)
    async def suggest(self, request: Request) -> Response:
        kernel = self._kernel
        wanted = kernel.redactor.value(await body(request, SuggestRequest))
        wanted = wanted.model_copy(update={"last_command": without_passwords(wanted.last_command)})
        question = asked(wanted)
        name = wanted.model or kernel.models.status()[0].name
        who = caller(request, request_id(request))
        # A person waits at a prompt; a key's calls are as urgent as it may be.
        band = who.access.band if who.access is not None else "interactive"
        who = replace(who, client=replace(who.client, band=band))
        length = sum(len(message.content) for message in question.messages)
        gateway = Gateway(kernel.models, kernel.ledger, kernel.settings.model_context)
        chat = gateway.chat(name, who, "suggest", Asked(length, writes=question.max_tokens))
        command = command_line(kernel.redactor.text(await _unless_gone(request, chat, question)))
        return reply(Suggestion(command=command, model=name, effects=effects(command, wanted.shell)))


async def _unless_gone(request: Request, chat: Chat, question: ChatRequest) -> str:
    """Return a model's reply, unless whoever asked gives up before it ends."""
    gathered, failed = Gathering(), None

    async def until_gone(scope: anyio.CancelScope) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(until_gone, tasks.cancel_scope)
        try:
            async with aclosing(chat.stream(question)) as deltas:
                async for delta in deltas:
                    gathered.add(delta)
        except LLMasOSError as error:
            failed = error
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed
    if gathered.finish_reason is None:
        raise ClientDisconnect
    if gathered.finish_reason != "stop":
        # Half of a command line may do what the whole one would not.
        raise ModelError("The model's reply was cut off.", hint="Ask for less at once.")
    return gathered.text
