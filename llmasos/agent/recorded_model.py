"""A model whose every call is recorded, after its reply and before anything that the reply asks for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from llmasos.agent.approvals import sha256_json
from llmasos.agent.metering import Used, admit, charge, cut_off, given_up
from llmasos.agent.model_call import ModelCall
from llmasos.ledger import Ledger
from llmasos.models import Origin
from llmasos.models.engines.port import TokenUsage
from llmasos.models.tokens import most_tokens
from llmasos.secrets import Redactor

_PARTS = ("kind", "instructions", "parts")


class RecordedModel(WrapperModel):
    """Passes requests on without the secrets in them, and records each.

    Args:
        model: What is asked.
        origin: Where its replies come from.
        ledger: Where calls are recorded.
        session: The session that asks.
        turn: The turn that asks.
        used: What engines did for the turn, as they tell it.
        redactor: Takes the secrets out of what the model reads.
    """

    def __init__(
        self,
        model: Model[Any],
        origin: Origin,
        ledger: Ledger,
        *,
        session: str,
        turn: str,
        used: Used | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        super().__init__(model)
        self._redactor = redactor or Redactor()
        self._used = used or Used()
        self.origin = origin
        self._ledger = ledger
        self._session = session
        self._turn = turn

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return one reply, recorded."""
        await admit()
        messages = self._redactor.value(messages)
        call, before = self._call(messages), self._used.now()
        try:
            response = await super().request(messages, model_settings, model_request_parameters)
        except BaseException as error:
            await self._failed(call, error, before, messages, [])
            raise
        await self._replied(call, response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream one reply, recorded when it has come to its end."""
        await admit()
        messages = self._redactor.value(messages)
        call, before = self._call(messages), self._used.now()
        stream: StreamedResponse | None = None
        try:
            async with super().request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                yield stream
        except BaseException as error:
            await self._failed(call, error, before, messages, [stream.get()] if stream else [])
            raise
        await self._replied(call, stream.get())

    def _call(self, messages: list[ModelMessage]) -> ModelCall:
        return ModelCall(
            self._ledger, self._session, self._whence, sha256_messages(messages), turn=self._turn
        )

    async def _replied(self, call: ModelCall, response: ModelResponse) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await charge(self.origin.model, response.usage.input_tokens, response.usage.output_tokens)
            finally:
                await call.replied(**_facts(response))

    async def _failed(
        self,
        call: ModelCall,
        error: BaseException,
        before: TokenUsage,
        asked: Sequence[ModelMessage],
        written: Sequence[ModelMessage],
    ) -> None:
        with anyio.CancelScope(shield=True):
            # A turn that is cancelled has used what was done until then, which nobody tells of elsewhere.
            usage = self._used.since(before) if cut_off(error) else None
            if usage is None and self.origin.endpoint and given_up(error):
                usage = TokenUsage(input=_tokens(asked), output=_tokens(written))
            try:
                if usage is not None:
                    await charge(self.origin.model, usage.input, usage.output)
            finally:
                await call.failed(error)

    async def _whence(self) -> Origin:
        return self.origin


def _facts(response: ModelResponse) -> dict[str, Any]:
    return {
        "reply_sha256": sha256_messages([response]),
        "input_tokens": response.usage.input_tokens,
        "cached_tokens": response.usage.cache_read_tokens,
        "output_tokens": response.usage.output_tokens,
    }


def _tokens(messages: Sequence[ModelMessage]) -> int:
    """Estimate the tokens of what messages say."""
    said = [getattr(part, "content", "") or getattr(part, "args", "") for m in messages for part in m.parts]
    return sum(most_tokens(text if isinstance(text, str) else str(text)) for text in said if text)


def sha256_messages(messages: Sequence[ModelMessage]) -> str:
    """Return the SHA-256 of what messages say, as turns hold it: kind, instructions, parts."""
    plain = ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")
    return sha256_json([{name: message.get(name) for name in _PARTS} for message in plain])
